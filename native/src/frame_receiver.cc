#include "frame_receiver.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "frame_times.h"

namespace tidegate
{

namespace
{
constexpr size_t kBurst = 64;
constexpr int kReceiveOctets = 64 << 20;

// When the kernel took a datagram off the wire, by CLOCK_MONOTONIC; `now_ns` where it does not say.
double ArrivedMs(struct msghdr *message, int64_t real_ahead_ns, uint64_t now_ns)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec at;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		std::memcpy(&at, CMSG_DATA(c), sizeof(at));
		now_ns = static_cast<uint64_t>(at.tv_sec * 1000000000ll + at.tv_nsec - real_ahead_ns);
	}
	return static_cast<double>(now_ns) / 1e6;
}

int64_t RealAheadNs()
{
	return static_cast<int64_t>(ClockNs(CLOCK_REALTIME)) - static_cast<int64_t>(MonotonicNs());
}
} // namespace

FrameReceiver::~FrameReceiver()
{
	if (fd_ >= 0)
		close(fd_);
}

int FrameReceiver::Listen(const std::string &address, uint16_t port)
{
	struct sockaddr_in at = {};
	struct timeval patience = {0, 50000};
	int on = 1;

	fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd_ < 0)
		return errno;
	at.sin_family = AF_INET;
	at.sin_port = htons(port);
	inet_pton(AF_INET, address.c_str(), &at.sin_addr);
	setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveOctets, sizeof(kReceiveOctets));
	setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return bind(fd_, reinterpret_cast<struct sockaddr *>(&at), sizeof(at)) ? errno : 0;
}

void FrameReceiver::Receive(const std::atomic<bool> &stop)
{
	uint32_t words[kBurst][4];
	alignas(struct cmsghdr) uint8_t control[kBurst][CMSG_SPACE(sizeof(struct timespec))];
	struct iovec parts[kBurst];
	struct mmsghdr messages[kBurst] = {};
	const int64_t real_ahead_ns = RealAheadNs();

	RunFirst();
	while (!stop.load()) {
		for (size_t i = 0; i < kBurst; i++) {
			parts[i] = {words[i], sizeof(words[i])};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
			messages[i].msg_hdr.msg_control = control[i];
			messages[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
		int count = recvmmsg(fd_, messages, kBurst, MSG_WAITFORONE, nullptr);
		uint64_t now_ns = MonotonicNs();

		for (int i = 0; i < count; i++) {
			uint32_t flow = words[i][0], number = words[i][1];

			if (messages[i].msg_len < 8 || flow >= received_.size())
				continue;
			if (received_[flow]++ == 0)
				first_ms_.push_back(ArrivedMs(&messages[i].msg_hdr, real_ahead_ns, now_ns));
			reordered_ += number < next_[flow];
			next_[flow] = std::max(next_[flow], number + 1);
		}
	}
}

} // namespace tidegate
