// Steering as JavaScript sees it: the part of Capture's methods that is about links, rules and weights.
#ifndef TIDEGATE_STEERING_BINDING_H
#define TIDEGATE_STEERING_BINDING_H

#include <napi.h>

#include <memory>
#include <mutex>

#include "steering.h"

namespace tidegate
{

// Shared with the workers that carry changes out, so that none outlives what it works on.
class SteeringSlot
{
      public:
	// After the datapath was loaded with steering.
	BpfError Open(Loader &loader, uint64_t idle_ns, Steering::Enumerate enumerate);

	// Frames that come in there and are addressed to it may be steered.
	BpfError Ingress(const std::string &device, const std::string &netns);

	// Waits for a change that is under way.
	void Close();

	// link(options): makes a link known, or changes it. Throws {operation, errno, log}.
	void Link(const Napi::CallbackInfo &info);
	// apply(targets) -> Promise<{movedBuckets, knownFlows, pinnedFlows, heldNs, askedNs, doneNs}>
	Napi::Value Apply(const Napi::CallbackInfo &info, const std::shared_ptr<SteeringSlot> &self);
	// maintain() -> Promise<pins that are left>
	Napi::Value Maintain(const Napi::CallbackInfo &info, const std::shared_ptr<SteeringSlot> &self);
	void Heartbeat(const Napi::CallbackInfo &info);
	// state() -> {links, rules, pins, defers, counters}
	Napi::Value State(const Napi::CallbackInfo &info);

	// Runs `work` unless the datapath has gone (ENODEV).
	BpfError Run(const std::function<BpfError(Steering &)> &work);

      private:
	std::mutex mutex_;
	Loader *loader_ = nullptr;
	std::unique_ptr<Steering> steering_;
};

} // namespace tidegate

#endif
