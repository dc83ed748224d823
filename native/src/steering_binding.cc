#include "steering_binding.h"

#include <cerrno>
#include <cstring>

#include "bpf_error.h"
#include "nic_probe.h"
#include "options.h"
#include "steering_time.h"

namespace tidegate
{

namespace
{
Napi::Error ErrorOf(Napi::Env env, const BpfError &failure)
{
	Napi::Error error = Napi::Error::New(env, failure.operation + ": " + strerror(failure.error));

	error.Set("operation", Napi::String::New(env, failure.operation));
	error.Set("errno", Napi::Number::New(env, failure.error));
	error.Set("log", Napi::String::New(env, failure.log));
	return error;
}

// Carries out a change on a thread of the pool; what it reports becomes the promise's value.
class SteerWorker : public Napi::AsyncWorker
{
      public:
	using Work = std::function<BpfError(Steering &)>;
	using Result = std::function<Napi::Value(Napi::Env)>;

	SteerWorker(Napi::Env env, std::shared_ptr<SteeringSlot> slot, Work work, Result result)
	    : Napi::AsyncWorker(env), slot_(std::move(slot)), work_(std::move(work)),
	      result_(std::move(result)), deferred_(Napi::Promise::Deferred::New(env))
	{
	}
	Napi::Promise promise() const { return deferred_.Promise(); }

      private:
	void Execute() override { failure_ = slot_->Run(work_); }
	void OnOK() override
	{
		// Nobody waits for work without a result.
		if (!result_)
			deferred_.Resolve(Env().Undefined());
		else if (failure_)
			deferred_.Reject(ErrorOf(Env(), failure_).Value());
		else
			deferred_.Resolve(result_(Env()));
	}

	std::shared_ptr<SteeringSlot> slot_;
	Work work_;
	Result result_;
	Napi::Promise::Deferred deferred_;
	BpfError failure_;
};

Napi::Promise Start(Napi::Env env, const std::shared_ptr<SteeringSlot> &slot, SteerWorker::Work work,
		    SteerWorker::Result result)
{
	SteerWorker *worker = new SteerWorker(env, slot, std::move(work), std::move(result));
	Napi::Promise promise = worker->promise();

	worker->Queue();
	return promise;
}

void CopyOctets(const Napi::Object &options, const char *name, uint8_t *into, size_t bytes)
{
	Napi::Uint8Array from = options.Get(name).As<Napi::Uint8Array>();

	std::memcpy(into, from.Data(), std::min(bytes, from.ByteLength()));
}

SteerTarget TargetOf(const Napi::Object &options)
{
	SteerTarget target;
	Napi::Uint32Array weights = options.Get("weights").As<Napi::Uint32Array>();

	target.workload = U32Option(options, "workload");
	target.kind = static_cast<uint8_t>(U32Option(options, "kind"));
	target.hard = options.Get("hard").As<Napi::Boolean>();
	target.protocol = static_cast<uint8_t>(U32Option(options, "protocol"));
	target.prefix_length = static_cast<uint8_t>(U32Option(options, "prefixLength"));
	target.port = static_cast<uint16_t>(U32Option(options, "port"));
	CopyOctets(options, "address", target.address, sizeof(target.address));
	for (size_t i = 0; i < TG_STEER_LINKS && i < weights.ElementLength(); i++)
		target.weights[i] = weights[i];
	return target;
}

Napi::Object RuleObject(Napi::Env env, const tg_steer_rule &rule)
{
	Napi::Object object = Napi::Object::New(env);
	Napi::Uint32Array weights = Napi::Uint32Array::New(env, TG_STEER_LINKS);

	for (size_t i = 0; i < TG_STEER_LINKS; i++)
		weights[i] = rule.weights[i];
	object.Set("workload", rule.workload);
	object.Set("kind", rule.kind);
	object.Set("hard", Napi::Boolean::New(env, rule.hard != 0));
	object.Set("protocol", rule.protocol);
	object.Set("prefixLength", rule.prefix_length);
	object.Set("port", rule.port);
	object.Set("address", Napi::Buffer<uint8_t>::Copy(env, rule.address, sizeof(rule.address)));
	object.Set("weights", weights);
	return object;
}
} // namespace

BpfError SteeringSlot::Open(Loader &loader, uint64_t idle_ns, Steering::Enumerate enumerate)
{
	loader_ = &loader;
	steering_ = std::make_unique<Steering>(loader, idle_ns, std::move(enumerate));
	return steering_->Open();
}

BpfError SteeringSlot::Ingress(const std::string &device, const std::string &netns)
{
	NicFacts facts;
	int error = ProbeNic(device, netns, &facts);

	if (error)
		return BpfError{error, "look at the interface", ""};
	steering_->SetIngress(facts.ifindex, facts.mac);
	return {};
}

void SteeringSlot::Close()
{
	if (steering_)
		steering_->Stop();
	std::lock_guard lock(mutex_);
	steering_.reset();
}

BpfError SteeringSlot::Run(const std::function<BpfError(Steering &)> &work)
{
	std::lock_guard lock(mutex_);

	return steering_ ? work(*steering_) : BpfError{ENODEV, "steer", ""};
}

void SteeringSlot::Link(const Napi::CallbackInfo &info)
{
	Napi::Object options = info[0].As<Napi::Object>();
	SteerLinkOptions link;

	link.number = U32Option(options, "number") % TG_STEER_LINKS;
	link.name = StringOption(options, "name");
	link.device = StringOption(options, "device");
	link.netns = StringOption(options, "netns");
	CopyOctets(options, "nextHopIPv4", reinterpret_cast<uint8_t *>(&link.next_hop_ipv4), 4);
	CopyOctets(options, "nextHopIPv6", link.next_hop_ipv6, 16);
	link.via_stack = options.Get("viaStack").As<Napi::Boolean>();
	link.drained = options.Get("drained").As<Napi::Boolean>();
	link.outside = options.Get("outside").As<Napi::Boolean>();
	BpfError failure = steering_ ? steering_->SetLink(link) : BpfError{ENODEV, "steer", ""};

	if (failure)
		ThrowBpfError(info.Env(), failure);
}

Napi::Value SteeringSlot::Apply(const Napi::CallbackInfo &info, const std::shared_ptr<SteeringSlot> &self)
{
	Napi::Array list = info[0].As<Napi::Array>();
	auto targets = std::make_shared<std::vector<SteerTarget>>();
	auto report = std::make_shared<SteerReport>();

	report->asked_ns = MonotonicNs();
	for (uint32_t i = 0; i < list.Length(); i++)
		targets->push_back(TargetOf(list.Get(i).As<Napi::Object>()));
	return Start(
	    info.Env(), self,
	    [targets, report](Steering &steering) { return steering.Apply(*targets, report.get()); },
	    [report, self](Napi::Env env) -> Napi::Value {
		    Napi::Object object = Napi::Object::New(env);

		    Start(env, self, [](Steering &steering) { return steering.Settle(); }, nullptr);
		    object.Set("movedBuckets", report->moved_buckets);
		    object.Set("knownFlows", static_cast<double>(report->known_flows));
		    object.Set("pinnedFlows", static_cast<double>(report->pinned_flows));
		    object.Set("heldNs", static_cast<double>(report->held_ns));
		    object.Set("askedNs", static_cast<double>(report->asked_ns));
		    object.Set("doneNs", static_cast<double>(report->done_ns));
		    return object;
	    });
}

Napi::Value SteeringSlot::Maintain(const Napi::CallbackInfo &info, const std::shared_ptr<SteeringSlot> &self)
{
	auto pins = std::make_shared<uint64_t>(0);

	return Start(
	    info.Env(), self, [pins](Steering &steering) { return steering.Maintain(pins.get()); },
	    [pins](Napi::Env env) -> Napi::Value {
		    return Napi::Number::New(env, static_cast<double>(*pins));
	    });
}

void SteeringSlot::Heartbeat(const Napi::CallbackInfo &info)
{
	if (steering_)
		steering_->Heartbeat(static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue()));
}

Napi::Value SteeringSlot::State(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Object state = Napi::Object::New(env), counters = Napi::Object::New(env);
	Napi::Array links = Napi::Array::New(env), rules = Napi::Array::New(env);

	if (!steering_)
		return env.Null();
	for (uint32_t i = 1; i < TG_STEER_LINKS; i++) {
		tg_steer_link link = steering_->link(i);

		if (link.ifindex == 0)
			continue;
		Napi::Object object = Napi::Object::New(env);

		object.Set("number", i);
		object.Set("name", link.name);
		object.Set("ifindex", link.ifindex);
		object.Set("drained", Napi::Boolean::New(env, link.drained != 0));
		object.Set("viaStack", Napi::Boolean::New(env, link.via_stack != 0));
		object.Set("ipv4", link.state[0]);
		object.Set("ipv6", link.state[1]);
		links.Set(links.Length(), object);
	}
	for (uint32_t i = 1; i < steering_->rules_end(); i++) {
		if (steering_->rule(i).used == 1)
			rules.Set(rules.Length(), RuleObject(env, steering_->rule(i)));
	}
	tg_steer_counters sum = steering_->Counters();

	counters.Set("redirected", static_cast<double>(sum.redirected));
	counters.Set("deferred", static_cast<double>(sum.deferred));
	counters.Set("drained", static_cast<double>(sum.drained));
	counters.Set("stranded", static_cast<double>(sum.stranded));
	counters.Set("learned", static_cast<double>(sum.learned));
	counters.Set("unlearned", static_cast<double>(sum.unlearned));
	counters.Set("asleep", static_cast<double>(sum.asleep));
	state.Set("links", links);
	state.Set("rules", rules);
	state.Set("counters", counters);
	state.Set("defers", Napi::Boolean::New(env, loader_->defers()));
	return state;
}

} // namespace tidegate
