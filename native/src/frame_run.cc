// A stream of UDP frames of many flows through a gateway under test, and what arrived of it where: sent
// straight onto an interface of a network namespace, received by sockets in others. Every frame says which of
// its flow it is, so that loss, order, and flows that changed sides are counted, not estimated. It refuses to
// run outside namespaces.
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <memory>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

#include "addon.h"
#include "bpf_error.h"
#include "nic_probe.h"
#include "options.h"

namespace tidegate
{

namespace
{
constexpr size_t kBurst = 64, kFrame = 60, kPayload = 42;
constexpr uint32_t kFirstPort = 1024, kMostFlows = 64000;
constexpr int kReceiveOctets = 64 << 20;
// A sender that was not run for longer sends no more at once than this: queues are not what is tried here.
constexpr uint64_t kCatchUpNs = 2000000;
// Timers are no finer.
constexpr uint64_t kPauseNs = 50000;

struct RunOptions {
	std::string netns, device, gateway_netns, gateway_device, source, destination;
	std::vector<std::string> servers;
	uint32_t port, packets_per_second, flows, packets_per_flow, milliseconds, settle_ms, first_flow;
};

struct Side {
	std::vector<uint32_t> received, next; // by flow; the number that comes next if none is missing
	std::vector<double> first_ms;	      // CLOCK_MONOTONIC of each flow's first frame here, in order
	uint64_t reordered = 0;
	int error = 0;
};

uint64_t NowNs()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000ull + static_cast<uint64_t>(now.tv_nsec);
}

// Sending and receiving come before whatever else runs: what is timed is the gateway, not the scheduler.
void RunFirst()
{
	struct sched_param first = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO,
			   &first); // refused without CAP_SYS_NICE: then times are upper bounds
}

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
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec - static_cast<int64_t>(NowNs());
}

uint16_t Checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += static_cast<uint32_t>(header[i] << 8 | header[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~(sum + (sum >> 16)));
}

class FrameRun
{
      public:
	explicit FrameRun(RunOptions options) : options_(std::move(options)), sides_(options_.servers.size())
	{
		for (Side &side : sides_) {
			side.received.resize(kMostFlows);
			side.next.resize(kMostFlows);
		}
		sent_.resize(kMostFlows);
	}

	int Run()
	{
		std::vector<std::thread> receivers;
		std::vector<int> sockets;
		int error = Prepare(), entered;

		for (const std::string &server : options_.servers) {
			int fd = -1;

			entered = InNetworkNamespace(server, [&] { fd = Listen(); });
			error = error ? error : entered ? entered : fd < 0 ? -fd : 0;
			sockets.push_back(fd);
		}
		for (size_t i = 0; !error && i < sides_.size(); i++)
			receivers.emplace_back([this, i, &sockets] { Receive(sockets[i], &sides_[i]); });
		if (!error) {
			int status = 0;

			entered = InNetworkNamespace(options_.netns, [&] { status = Send(); });
			error = entered ? entered : status;
			std::this_thread::sleep_for(std::chrono::milliseconds(options_.settle_ms));
		}
		stop_.store(true);
		for (std::thread &receiver : receivers)
			receiver.join();
		for (int fd : sockets) {
			if (fd >= 0)
				close(fd);
		}
		return error;
	}

	// A flow counts as moved when frames of it came to more than one side.
	Napi::Object Result(Napi::Env env) const
	{
		Napi::Object result = Napi::Object::New(env);
		Napi::Array firsts = Napi::Array::New(env);
		uint64_t sent = 0, received = 0, reordered = 0, moved = 0;

		for (uint32_t flow = 0; flow < flows_; flow++) {
			uint32_t at = 0;

			sent += sent_[flow];
			for (const Side &side : sides_) {
				received += side.received[flow];
				at += side.received[flow] != 0;
			}
			moved += at > 1;
		}
		for (const Side &side : sides_) {
			Napi::Float64Array times = Napi::Float64Array::New(env, side.first_ms.size());

			std::copy(side.first_ms.begin(), side.first_ms.end(), times.Data());
			firsts.Set(firsts.Length(), times);
			reordered += side.reordered;
		}
		result.Set("sent", static_cast<double>(sent));
		result.Set("received", static_cast<double>(received));
		result.Set("reordered", static_cast<double>(reordered));
		result.Set("flows", flows_);
		result.Set("moved", static_cast<double>(moved));
		result.Set("seconds", seconds_);
		result.Set("firstMs", firsts);
		return result;
	}

      private:
	struct Live {
		uint32_t flow = 0, left = 0;
	};

	// Everything of a frame but its source port and what it says of itself.
	int Prepare()
	{
		NicFacts own, gateway;
		int error = ProbeNic(options_.device, options_.netns, &own);

		if (!error)
			error = ProbeNic(options_.gateway_device, options_.gateway_netns, &gateway);
		if (error)
			return error;
		ifindex_ = own.ifindex;
		std::memcpy(frame_, gateway.mac, 6);
		std::memcpy(frame_ + 6, own.mac, 6);
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

	int Listen()
	{
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in at = {};
		struct timeval patience = {0, 50000};
		int on = 1;

		if (fd < 0)
			return -errno;
		at.sin_family = AF_INET;
		at.sin_port = htons(static_cast<uint16_t>(options_.port));
		inet_pton(AF_INET, options_.destination.c_str(), &at.sin_addr);
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveOctets, sizeof(kReceiveOctets));
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (bind(fd, reinterpret_cast<struct sockaddr *>(&at), sizeof(at)) == 0)
			return fd;
		int error = errno;

		close(fd);
		return -error;
	}

	void Receive(int fd, Side *side)
	{
		uint32_t words[kBurst][4];
		alignas(struct cmsghdr) uint8_t control[kBurst][CMSG_SPACE(sizeof(struct timespec))];
		struct iovec parts[kBurst];
		struct mmsghdr messages[kBurst] = {};
		const int64_t real_ahead_ns = RealAheadNs();

		RunFirst();
		while (!stop_.load()) {
			for (size_t i = 0; i < kBurst; i++) {
				parts[i] = {words[i], sizeof(words[i])};
				messages[i].msg_hdr.msg_iov = &parts[i];
				messages[i].msg_hdr.msg_iovlen = 1;
				messages[i].msg_hdr.msg_control = control[i];
				messages[i].msg_hdr.msg_controllen = sizeof(control[i]);
			}
			int count = recvmmsg(fd, messages, kBurst, MSG_WAITFORONE, nullptr);
			uint64_t now_ns = NowNs();

			for (int i = 0; i < count; i++) {
				uint32_t flow = words[i][0], number = words[i][1];

				if (messages[i].msg_len < 8 || flow >= kMostFlows)
					continue;
				if (side->received[flow]++ == 0)
					side->first_ms.push_back(
					    ArrivedMs(&messages[i].msg_hdr, real_ahead_ns, now_ns));
				side->reordered += number < side->next[flow];
				side->next[flow] = std::max(side->next[flow], number + 1);
			}
		}
	}

	uint32_t Random() // xorshift32, Marsaglia 2003
	{
		random_ ^= random_ << 13;
		random_ ^= random_ >> 17;
		return random_ ^= random_ << 5;
	}

	// One flow in eight is a slow one: it comes up an eighth as often and so is forgotten by caches in
	// between.
	Live &Next(std::vector<Live> &live)
	{
		uint32_t at = Random() % options_.flows;

		if (at % 8 == 0 && Random() % 8 != 0)
			at = (at + 1) % options_.flows;
		if (live[at].left == 0 && flows_ < kMostFlows - options_.first_flow)
			live[at] = {flows_++, options_.packets_per_flow};
		live[at].left -= live[at].left != 0;
		return live[at];
	}

	int Send()
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
		const uint64_t began = NowNs(), each_ns = 1000000000ull / options_.packets_per_second;
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
				uint16_t port =
				    htons(static_cast<uint16_t>(kFirstPort + options_.first_flow + flow));

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
			now = NowNs();
			if (burst < kBurst) {
				uint64_t pause_ns = due + each_ns > now ? due + each_ns - now : 0;

				std::this_thread::sleep_for(
				    std::chrono::nanoseconds(std::max(kPauseNs, pause_ns)));
			}
			now = NowNs();
		}
		seconds_ = static_cast<double>(now - began) / 1e9;
		close(fd);
		return error;
	}

	RunOptions options_;
	std::vector<Side> sides_;
	std::vector<uint32_t> sent_; // frames by flow
	std::atomic<bool> stop_{false};
	uint32_t flows_ = 0, random_ = 1, ifindex_ = 0;
	double seconds_ = 0;
	uint8_t frame_[kFrame] = {};
};

class FrameRunWorker : public Napi::AsyncWorker
{
      public:
	FrameRunWorker(Napi::Env env, RunOptions options)
	    : Napi::AsyncWorker(env), run_(std::make_unique<FrameRun>(std::move(options))),
	      deferred_(Napi::Promise::Deferred::New(env))
	{
	}
	Napi::Promise promise() const { return deferred_.Promise(); }

      private:
	void Execute() override
	{
		int error = run_->Run();

		if (error)
			SetError(std::string("send frames: ") + strerror(error));
	}
	void OnOK() override { deferred_.Resolve(run_->Result(Env())); }
	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

	std::unique_ptr<FrameRun> run_;
	Napi::Promise::Deferred deferred_;
};

// frameRun({netns, device, gatewayNetns, gatewayDevice, source, destination, port, servers, packetsPerSecond,
// flows, packetsPerFlow, milliseconds}) -> Promise<{sent, received, reordered, flows, moved, seconds,
// firstMs}>
Napi::Value FrameRunJs(const Napi::CallbackInfo &info)
{
	Napi::Object options = info[0].As<Napi::Object>();
	Napi::Array servers = options.Get("servers").As<Napi::Array>();
	RunOptions run{StringOption(options, "netns"),
		       StringOption(options, "device"),
		       StringOption(options, "gatewayNetns"),
		       StringOption(options, "gatewayDevice"),
		       StringOption(options, "source"),
		       StringOption(options, "destination"),
		       {},
		       U32Option(options, "port"),
		       U32Option(options, "packetsPerSecond"),
		       U32Option(options, "flows"),
		       U32Option(options, "packetsPerFlow"),
		       U32Option(options, "milliseconds"),
		       U32Option(options, "settleMs"),
		       U32Option(options, "firstFlow")};
	bool inside = !run.netns.empty() && !run.gateway_netns.empty();

	for (uint32_t i = 0; i < servers.Length(); i++) {
		run.servers.push_back(servers.Get(i).As<Napi::String>());
		inside &= !run.servers.back().empty();
	}
	if (!inside || run.flows == 0 || run.packets_per_second == 0 || run.packets_per_flow == 0) {
		ThrowBpfError(info.Env(), BpfError{EINVAL, "send frames outside network namespaces", ""});
		return info.Env().Undefined();
	}
	FrameRunWorker *worker = new FrameRunWorker(info.Env(), std::move(run));
	Napi::Promise promise = worker->promise();

	worker->Queue();
	return promise;
}
} // namespace

void InitFrameRun(Napi::Env env, Napi::Object exports)
{
	exports.Set("frameRun", Napi::Function::New(env, FrameRunJs, "frameRun"));
}

} // namespace tidegate
