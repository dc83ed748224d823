// A bounded packet sender for tests: TCP segments from many sources, straight onto one interface of a network
// namespace. It refuses to send without a namespace, so that nothing ever leaves the machine by mistake.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "addon.h"
#include "bpf_error.h"
#include "nic_probe.h"
#include "options.h"
#include "promise_worker.h"

namespace tidegate
{

namespace
{
constexpr size_t kBurst = 64, kFrame = 60;

struct FloodOptions {
	std::string netns, device;
	uint32_t packets, threads, flows, seed;
	uint8_t flags;
};

struct Sender {
	uint32_t state;

	uint32_t Next() // xorshift32, Marsaglia 2003
	{
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		return state;
	}

	void Write(uint8_t *frame, const FloodOptions &options)
	{
		static const uint8_t kTemplate[kFrame] = {2,	0, 0,  0,  0,	 2, 2, 0, 0,  0,  0, 1, 8, 0,
							  0x45, 0, 0,  40, 0,	 0, 0, 0, 64, 6,  0, 0, 0, 0,
							  0,	0, 10, 9,  0,	 2, 0, 0, 0,  80, 0, 0, 0, 1,
							  0,	0, 0,  0,  0x50, 0, 4, 0, 0,  0,  0, 0};
		uint32_t flow = options.flows ? Next() % options.flows : Next();
		uint16_t port = static_cast<uint16_t>(flow * 40503u) | 1;

		std::memcpy(frame, kTemplate, kFrame);
		std::memcpy(frame + 26, &flow, 4);
		frame[26] =
		    static_cast<uint8_t>(11 + frame[26] % 64); // public-looking unicast, never our own
		std::memcpy(frame + 34, &port, 2);
		frame[47] = options.flags;
	}
};

int SendFrom(const FloodOptions &options, uint32_t thread, uint32_t packets)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), error = 0;
	struct sockaddr_ll to = {};
	cpu_set_t one;

	if (fd < 0)
		return errno;
	CPU_ZERO(&one);
	CPU_SET(thread, &one);
	sched_setaffinity(0, sizeof(one), &one);
	to.sll_family = AF_PACKET;
	to.sll_protocol = htons(ETH_P_IP);
	to.sll_ifindex = static_cast<int>(if_nametoindex(options.device.c_str()));
	if (to.sll_ifindex == 0 || bind(fd, reinterpret_cast<struct sockaddr *>(&to), sizeof(to)))
		error = to.sll_ifindex ? errno : ENODEV;
	Sender sender{options.seed ? options.seed : 1};
	std::vector<uint8_t> frames(kBurst * kFrame);
	struct iovec parts[kBurst];
	struct mmsghdr messages[kBurst] = {};

	for (uint32_t sent = 0; !error && sent < packets;) {
		size_t burst = std::min<size_t>(kBurst, packets - sent), done = 0;

		for (size_t i = 0; i < burst; i++) {
			sender.Write(&frames[i * kFrame], options);
			parts[i] = {&frames[i * kFrame], kFrame};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		while (!error && done < burst) {
			int count = sendmmsg(fd, messages + done, static_cast<unsigned>(burst - done), 0);

			if (count > 0)
				done += static_cast<size_t>(count);
			else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
				error = errno;
		}
		sent += static_cast<uint32_t>(done);
	}
	close(fd);
	return error;
}

struct Flood {
	FloodOptions options;

	std::string Run()
	{
		std::vector<int> errors(options.threads, 0);
		std::vector<std::thread> threads;
		std::string problem;

		for (uint32_t i = 0; i < options.threads; i++) {
			threads.emplace_back([this, i, &errors] {
				int sent = 0;
				int entered = InNetworkNamespace(options.netns, [&] {
					sent = SendFrom(options, i, options.packets / options.threads);
				});

				errors[i] = entered ? entered : sent;
			});
		}
		for (std::thread &thread : threads)
			thread.join();
		for (int error : errors) {
			if (error)
				problem = std::string("send: ") + strerror(error);
		}
		return problem;
	}

	Napi::Value Result(Napi::Env env) const { return env.Undefined(); }
};

// flood({netns, device, packets, threads, flows (0 = any source), seed, flags}) -> Promise: all threads send
// the same sequence of flows, each from its own CPU.
Napi::Value FloodJs(const Napi::CallbackInfo &info)
{
	Napi::Object options = info[0].As<Napi::Object>();
	FloodOptions flood{StringOption(options, "netns"),
			   StringOption(options, "device"),
			   U32Option(options, "packets"),
			   U32Option(options, "threads"),
			   U32Option(options, "flows"),
			   U32Option(options, "seed"),
			   static_cast<uint8_t>(U32Option(options, "flags"))};

	if (flood.netns.empty() || flood.threads == 0) {
		ThrowBpfError(info.Env(), BpfError{EINVAL, "flood outside a network namespace", ""});
		return info.Env().Undefined();
	}
	return PromiseWorker<Flood>::Queue(info.Env(), std::make_unique<Flood>(std::move(flood)));
}
} // namespace

void InitFlood(Napi::Env env, Napi::Object exports)
{
	exports.Set("flood", Napi::Function::New(env, FloodJs, "flood"));
}

} // namespace tidegate
