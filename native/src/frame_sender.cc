#include "frame_sender.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "frame_times.h"

namespace tidegate
{

namespace
{
constexpr size_t kBurst = 64, kPayload = 42;
constexpr uint32_t kFirstPort = 1024;
// A sender that was not run for longer sends no more at once than this: queues are not what is tried here.
constexpr uint64_t kCatchUpNs = 2000000;
// Timers are no finer.
constexpr uint64_t kPauseNs = 50000;

uint16_t Checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += static_cast<uint32_t>(header[i] << 8 | header[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~(sum + (sum >> 16)));
}
} // namespace

int FrameSender::Prepare(uint32_t ifindex, const uint8_t *own_mac, const uint8_t *gateway_mac)
{
	ifindex_ = ifindex;
	std::memcpy(frame_, gateway_mac, 6);
	std::memcpy(frame_ + 6, own_mac, 6);
	frame_[12] = 8;
	uint8_t *ip = frame_ + 14;

	ip[0] = 0x45;
	ip[3] = kFrame - 14;
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 17;
	if (inet_pton(AF_INET, options_.source.c_str(), ip + 12) != 1 ||
	    inet_pton(AF_INET, options_.destination.c_str(), ip + 16) != 1)
		return EINVAL;
	uint16_t checksum = htons(Checksum(ip)), port = htons(static_cast<uint16_t>(options_.port));

	std::memcpy(ip + 10, &checksum, 2);
	std::memcpy(frame_ + 36, &port, 2);
	frame_[39] = kFrame - 34;
	return 0;
}

uint32_t FrameSender::Random() // xorshift32, Marsaglia 2003
{
	random_ ^= random_ << 13;
	random_ ^= random_ >> 17;
	return random_ ^= random_ << 5;
}

// One flow in eight is a slow one: it comes up an eighth as often and so is forgotten by caches in
// between.
FrameSender::Live &FrameSender::Next(std::vector<Live> &live)
{
	uint32_t at = Random() % options_.flows;

	if (at % 8 == 0 && Random() % 8 != 0)
		at = (at + 1) % options_.flows;
	if (live[at].left == 0 && flows_ < kMostFlows - options_.first_flow)
		live[at] = {flows_++, options_.packets_per_flow};
	live[at].left -= live[at].left != 0;
	return live[at];
}

int FrameSender::Send()
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), error = 0;
	struct sockaddr_ll to = {};
	std::vector<Live> live(options_.flows);
	std::vector<uint8_t> frames(kBurst * kFrame);
	struct iovec parts[kBurst];
	struct mmsghdr messages[kBurst] = {};

	RunFirst();
	if (fd < 0)
		return errno;
	to.sll_family = AF_PACKET;
	to.sll_protocol = htons(ETH_P_IP);
	to.sll_ifindex = static_cast<int>(ifindex_);
	if (bind(fd, reinterpret_cast<struct sockaddr *>(&to), sizeof(to)))
		error = errno;
	for (size_t i = 0; i < kBurst; i++) {
		std::memcpy(&frames[i * kFrame], frame_, kFrame);
		parts[i] = {&frames[i * kFrame], kFrame};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	const uint64_t began = MonotonicNs(), each_ns = 1000000000ull / options_.packets_per_second;
	const uint64_t until = began + options_.milliseconds * 1000000ull;
	uint64_t due = began, now = began;

	while (!error && now < until) {
		uint64_t owed = (now - due) / each_ns;

		if (now - due > kCatchUpNs) {
			owed = kCatchUpNs / each_ns;
			due = now - owed * each_ns;
		}
		unsigned burst = static_cast<unsigned>(std::min<uint64_t>(owed, kBurst)), done = 0;

		for (unsigned i = 0; i < burst; i++) {
			uint32_t flow = Next(live).flow, words[2] = {flow, sent_[flow]++};
			uint16_t port = htons(static_cast<uint16_t>(kFirstPort + options_.first_flow + flow));

			std::memcpy(&frames[i * kFrame + 34], &port, 2);
			std::memcpy(&frames[i * kFrame + kPayload], words, sizeof(words));
		}
		while (!error && done < burst) {
			int count = sendmmsg(fd, messages + done, burst - done, 0);

			if (count > 0)
				done += static_cast<unsigned>(count);
			else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
				error = errno;
		}
		due += burst * each_ns;
		now = MonotonicNs();
		if (burst < kBurst) {
			uint64_t pause_ns = due + each_ns > now ? due + each_ns - now : 0;

			std::this_thread::sleep_for(std::chrono::nanoseconds(std::max(kPauseNs, pause_ns)));
		}
		now = MonotonicNs();
	}
	seconds_ = static_cast<double>(now - began) / 1e9;
	close(fd);
	return error;
}

} // namespace tidegate
