// A stream of UDP frames of many flows through a gateway under test, and what arrived of it where: sent
// straight onto an interface of a network namespace, received by sockets in others. Every frame says which of
// its flow it is, so that loss, order, and flows that changed sides are counted, not estimated. It refuses to
// run outside namespaces.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "addon.h"
#include "bpf_error.h"
#include "frame_receiver.h"
#include "frame_sender.h"
#include "nic_probe.h"
#include "options.h"
#include "promise_worker.h"

namespace tidegate
{

namespace
{
struct RunOptions {
	std::string netns, gateway_netns, gateway_device;
	std::vector<std::string> servers; // network namespaces
	uint32_t settle_ms;
	FrameSenderOptions frames;
};

class FrameRun
{
      public:
	explicit FrameRun(const RunOptions &options) : options_(options), sender_(options.frames)
	{
		for (size_t i = 0; i < options_.servers.size(); i++)
			sides_.push_back(std::make_unique<FrameReceiver>(FrameSender::kMostFlows));
	}

	std::string Run()
	{
		int error = Prepare();

		for (size_t i = 0; !error && i < sides_.size(); i++)
			error = In(options_.servers[i], [&] {
				return sides_[i]->Listen(options_.frames.destination,
							 static_cast<uint16_t>(options_.frames.port));
			});
		if (!error)
			error = Exchange();
		return error ? std::string("send frames: ") + strerror(error) : "";
	}

	// A flow counts as moved when frames of it came to more than one side.
	Napi::Value Result(Napi::Env env) const
	{
		Napi::Object result = Napi::Object::New(env);
		Napi::Array firsts = Napi::Array::New(env);
		uint64_t sent = 0, received = 0, reordered = 0, moved = 0;

		for (uint32_t flow = 0; flow < sender_.flows(); flow++) {
			uint32_t at = 0;

			sent += sender_.sent(flow);
			for (const auto &side : sides_) {
				received += side->received(flow);
				at += side->received(flow) != 0;
			}
			moved += at > 1;
		}
		for (const auto &side : sides_) {
			Napi::Float64Array times = Napi::Float64Array::New(env, side->first_ms().size());

			std::copy(side->first_ms().begin(), side->first_ms().end(), times.Data());
			firsts.Set(firsts.Length(), times);
			reordered += side->reordered();
		}
		result.Set("sent", static_cast<double>(sent));
		result.Set("received", static_cast<double>(received));
		result.Set("reordered", static_cast<double>(reordered));
		result.Set("flows", sender_.flows());
		result.Set("moved", static_cast<double>(moved));
		result.Set("seconds", sender_.seconds());
		result.Set("firstMs", firsts);
		return result;
	}

      private:
	// What `work` returns inside a network namespace, or the errno of entering it.
	static int In(const std::string &netns, const std::function<int()> &work)
	{
		int result = 0, entered = InNetworkNamespace(netns, [&] { result = work(); });

		return entered ? entered : result;
	}

	int Prepare()
	{
		NicFacts own, gateway;
		int error = ProbeNic(options_.frames.device, options_.netns, &own);

		if (!error)
			error = ProbeNic(options_.gateway_device, options_.gateway_netns, &gateway);
		return error ? error : sender_.Prepare(own.ifindex, own.mac, gateway.mac);
	}

	int Exchange()
	{
		std::vector<std::thread> receivers;

		for (auto &side : sides_)
			receivers.emplace_back([this, &side] { side->Receive(stop_); });
		int error = In(options_.netns, [this] { return sender_.Send(); });

		std::this_thread::sleep_for(std::chrono::milliseconds(options_.settle_ms));
		stop_.store(true);
		for (std::thread &receiver : receivers)
			receiver.join();
		return error;
	}

	RunOptions options_;
	FrameSender sender_;
	std::vector<std::unique_ptr<FrameReceiver>> sides_;
	std::atomic<bool> stop_{false};
};

// frameRun({netns, device, gatewayNetns, gatewayDevice, source, destination, port, servers, packetsPerSecond,
// flows, packetsPerFlow, milliseconds, settleMs, firstFlow}) -> Promise<{sent, received, reordered, flows,
// moved, seconds, firstMs}>
Napi::Value FrameRunJs(const Napi::CallbackInfo &info)
{
	Napi::Object options = info[0].As<Napi::Object>();
	Napi::Array servers = options.Get("servers").As<Napi::Array>();
	RunOptions run{StringOption(options, "netns"),
		       StringOption(options, "gatewayNetns"),
		       StringOption(options, "gatewayDevice"),
		       {},
		       U32Option(options, "settleMs"),
		       {StringOption(options, "device"), StringOption(options, "source"),
			StringOption(options, "destination"), U32Option(options, "port"),
			U32Option(options, "packetsPerSecond"), U32Option(options, "flows"),
			U32Option(options, "packetsPerFlow"), U32Option(options, "milliseconds"),
			U32Option(options, "firstFlow")}};
	bool inside = !run.netns.empty() && !run.gateway_netns.empty();

	for (uint32_t i = 0; i < servers.Length(); i++) {
		run.servers.push_back(servers.Get(i).As<Napi::String>());
		inside &= !run.servers.back().empty();
	}
	if (!inside || run.frames.flows == 0 || run.frames.packets_per_second == 0 ||
	    run.frames.packets_per_flow == 0) {
		ThrowBpfError(info.Env(), BpfError{EINVAL, "send frames outside network namespaces", ""});
		return info.Env().Undefined();
	}
	return PromiseWorker<FrameRun>::Queue(info.Env(), std::make_unique<FrameRun>(run));
}
} // namespace

void InitFrameRun(Napi::Env env, Napi::Object exports)
{
	exports.Set("frameRun", Napi::Function::New(env, FrameRunJs, "frameRun"));
}

} // namespace tidegate
