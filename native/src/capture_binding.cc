// The kernel datapath as JavaScript sees it: load, attach, start, flush, count, stop.
#include <cstring>

#include "addon.h"
#include "bpf_error.h"
#include "capture.h"
#include "capture_values.h"
#include "options.h"
#include "steering_binding.h"

namespace tidegate
{

class CaptureBinding : public Napi::ObjectWrap<CaptureBinding>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "Capture",
				   {
				       InstanceMethod<&CaptureBinding::Attach>("attach"),
				       InstanceMethod<&CaptureBinding::AttachEgress>("attachEgress"),
				       InstanceMethod<&CaptureBinding::AttachBehindXdp>("attachBehindXdp"),
				       InstanceMethod<&CaptureBinding::PinnedBehindXdp>("hasPinnedBehindXdp"),
				       InstanceMethod<&CaptureBinding::Overload>("overload"),
				       InstanceMethod<&CaptureBinding::RingFill>("ringFill"),
				       InstanceMethod<&CaptureBinding::Start>("start"),
				       InstanceMethod<&CaptureBinding::TryFlush>("tryFlush"),
				       InstanceMethod<&CaptureBinding::Flush>("flush"),
				       InstanceMethod<&CaptureBinding::Detach>("detach"),
				       InstanceMethod<&CaptureBinding::Stop>("stop"),
				       InstanceMethod<&CaptureBinding::Unpin>("unpin"),
				       InstanceMethod<&CaptureBinding::Pinned>("hasPinnedLink"),
				       InstanceMethod<&CaptureBinding::Inherited>("inherited"),
				       InstanceMethod<&CaptureBinding::Delivered>("delivered"),
				       InstanceMethod<&CaptureBinding::Counters>("counters"),
				       InstanceMethod<&CaptureBinding::Interface>("interfaceCounters"),
				       InstanceMethod<&CaptureBinding::RunXdp>("runXdp"),
				       InstanceMethod<&CaptureBinding::SteerLink>("steerLink"),
				       InstanceMethod<&CaptureBinding::SteerApply>("steerApply"),
				       InstanceMethod<&CaptureBinding::SteerMaintain>("steerMaintain"),
				       InstanceMethod<&CaptureBinding::SteerHeartbeat>("steerHeartbeat"),
				       InstanceMethod<&CaptureBinding::SteerState>("steerState"),
				   });
	}

	// new Capture(options, onEvent): loads the programs and maps. Throws {operation, errno, log}.
	explicit CaptureBinding(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<CaptureBinding>(info), slabs_(info[0].As<Napi::Object>()),
	      events_(info.Env(), info[1].As<Napi::Function>(), "tidegate capture")
	{
		Napi::Object options = info[0].As<Napi::Object>();
		LoaderOptions loader = GatewayOptions(options);
		CaptureOptions capture = ReaderOptions(options);
		BpfError failure = loader_.Load(loader);

		if (failure) {
			End();
			ThrowBpfError(info.Env(), failure);
			return;
		}
		StateFile *state = OpenState(options);

		delivered_packets_ = loader_.user_state()->delivered_packets;
		delivered_octets_ = loader_.user_state()->delivered_octets;
		capture_ = std::make_unique<Capture>(
		    loader_, capture, slabs_.memory, U32Option(options, "slabRows"),
		    [this](uint32_t slab) { events_.Post(static_cast<int32_t>(slab)); },
		    [this] { events_.Post(kEventFlushed); }, state);
		if (auto applications = ApplicationsOption(options))
			capture_->Use(std::move(applications));
		if (!loader.steering)
			return;
		failure =
		    steer_->Open(loader_, capture.table.idle_ns,
				 [this](const Steering::Visitor &visit) { capture_->VisitFlows(visit); });
		if (failure) {
			End();
			ThrowBpfError(info.Env(), failure);
		}
	}

	~CaptureBinding() override { End(); }

      private:
	// Null when what is in memory shall not, or cannot, outlive the process; why is in state_problem_.
	StateFile *OpenState(const Napi::Object &options)
	{
		std::string path = StringOption(options, "stateFile");

		if (path.empty())
			return nullptr;
		std::vector<uint32_t> predecessors;

		for (const auto &predecessor : loader_.predecessors())
			predecessors.push_back(predecessor->datapath());
		int error = state_.Open(
		    path, FlowTable::ShapeOf(loader_.datapath_id(), loader_.cpus(), slabs_.memory),
		    predecessors);

		if (!error)
			return &state_;
		state_problem_ = std::string(strerror(error)) + ": " + path;
		state_.Remove();
		return nullptr;
	}

	// attach(name, netns, native) -> {index, tagged}
	Napi::Value Attach(const Napi::CallbackInfo &info)
	{
		Napi::Object result = Napi::Object::New(info.Env());
		uint32_t ifindex = 0;
		bool tagged = false;
		BpfError failure = loader_.Attach(info[0].As<Napi::String>(), info[1].As<Napi::String>(),
						  info[2].As<Napi::Boolean>(), &ifindex, &tagged);

		if (!failure && loader_.steering())
			failure = steer_->Ingress(info[0].As<Napi::String>(), info[1].As<Napi::String>());
		if (failure)
			ThrowBpfError(info.Env(), failure);
		result.Set("index", ifindex);
		result.Set("tagged", tagged);
		return result;
	}

	// attachEgress(name, netns): meters what this host itself sends by an interface
	void AttachEgress(const Napi::CallbackInfo &info)
	{
		BpfError failure =
		    loader_.AttachEgress(info[0].As<Napi::String>(), info[1].As<Napi::String>());

		if (failure)
			ThrowBpfError(info.Env(), failure);
	}

	// attachBehindXdp(name, netns) -> ifindex: meters what another's XDP program lets pass
	Napi::Value AttachBehindXdp(const Napi::CallbackInfo &info)
	{
		uint32_t ifindex = 0;
		BpfError failure =
		    loader_.AttachBehindXdp(info[0].As<Napi::String>(), info[1].As<Napi::String>(), &ifindex);

		if (failure)
			ThrowBpfError(info.Env(), failure);
		return Napi::Number::New(info.Env(), ifindex);
	}

	// hasPinnedBehindXdp(name, netns) -> whether attachBehindXdp would take a link over
	Napi::Value PinnedBehindXdp(const Napi::CallbackInfo &info)
	{
		return Napi::Boolean::New(info.Env(), loader_.HasPinnedBehindXdp(info[0].As<Napi::String>(),
										 info[1].As<Napi::String>()));
	}

	// overload({level, timeoutShift, withoutHeads, foldNew, sampling}): see struct tg_overload
	void Overload(const Napi::CallbackInfo &info)
	{
		Napi::Object wanted = info[0].As<Napi::Object>();

		loader_.SetOverload(tg_overload{
		    .sampling = U32Option(wanted, "sampling"),
		    .timeout_shift = static_cast<tg_u8>(U32Option(wanted, "timeoutShift")),
		    .without_heads = wanted.Get("withoutHeads").As<Napi::Boolean>(),
		    .fold_new = wanted.Get("foldNew").As<Napi::Boolean>(),
		    .level = static_cast<tg_u8>(U32Option(wanted, "level")),
		});
	}

	// ringFill() -> how full the fullest ring is, 0..1
	Napi::Value RingFill(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), capture_->RingFill());
	}

	// start() -> CPUs whose sweep timer runs
	Napi::Value Start(const Napi::CallbackInfo &info)
	{
		BpfError failure = capture_->Start();

		if (failure)
			ThrowBpfError(info.Env(), failure);
		return Napi::Number::New(info.Env(), loader_.armed_cpus());
	}

	// tryFlush(): flushes no entries: whether the programs can be run with what this thread may do.
	void TryFlush(const Napi::CallbackInfo &info)
	{
		BpfError failure = loader_.FlushSlots(0, 0);

		if (failure)
			ThrowBpfError(info.Env(), failure);
	}

	// Posts kEventFlushed once everything that was resident has been handed over.
	void Flush(const Napi::CallbackInfo &) { capture_->Flush(); }

	void Detach(const Napi::CallbackInfo &) { loader_.Detach(); }

	void Stop(const Napi::CallbackInfo &) { End(); }

	void Unpin(const Napi::CallbackInfo &)
	{
		loader_.Unpin();
		state_.Remove();
	}

	// hasPinnedLink(name, netns) -> whether attach would take a link over
	Napi::Value Pinned(const Napi::CallbackInfo &info)
	{
		return Napi::Boolean::New(info.Env(), loader_.HasPinnedLink(info[0].As<Napi::String>(),
									    info[1].As<Napi::String>()));
	}

	// inherited() -> Inheritance of src/capture/bpf.ts, of earlier processes. After start().
	Napi::Value Inherited(const Napi::CallbackInfo &info)
	{
		Napi::Object result = Napi::Object::New(info.Env());
		const tg_retired &retired = loader_.retired();

		// Where entries were taken over, all else was delivered: nothing died.
		if (state_.recovered()) {
			delivered_packets_ = capture_->inherited_packets() - retired.delivered_packets;
			delivered_octets_ = capture_->inherited_octets() - retired.delivered_octets;
			loader_.user_state()->delivered_packets = delivered_packets_;
			loader_.user_state()->delivered_octets = delivered_octets_;
		}
		result.Set("adopted", loader_.adopted());
		result.Set("recovered", state_.recovered());
		result.Set("stateName", state_.opened() ? std::to_string(state_.name()) : "");
		result.Set("stateProblem", state_problem_);
		result.Set("takenPackets", static_cast<double>(capture_->inherited_packets()));
		result.Set("takenOctets", static_cast<double>(capture_->inherited_octets()));
		result.Set("deliveredPackets",
			   static_cast<double>(delivered_packets_ + retired.delivered_packets));
		result.Set("deliveredOctets",
			   static_cast<double>(delivered_octets_ + retired.delivered_octets));
		result.Set("drainedPackets", static_cast<double>(capture_->drained_packets()));
		result.Set("unreadPackets", static_cast<double>(retired.unread_packets));
		result.Set("unreadOctets", static_cast<double>(retired.unread_octets));
		return result;
	}

	// delivered(packets, octets, slab): a batch was given back; remembered beyond this process.
	void Delivered(const Napi::CallbackInfo &info)
	{
		capture_->Release(info[2].As<Napi::Number>().Uint32Value());
		tg_user_state *state = loader_.user_state();

		state->delivered_packets += static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue());
		state->delivered_octets += static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue());
	}

	// counters(scan) -> one flat object of numbers, see CaptureCounters in src/capture/bpf.ts
	Napi::Value Counters(const Napi::CallbackInfo &info)
	{
		bool scan = info[0].As<Napi::Boolean>();

		return CaptureCountersObject(info.Env(), capture_->Counters(scan), scan);
	}

	// interfaceCounters(ifindex) -> {packets, octets, txPackets, txOctets}
	Napi::Value Interface(const Napi::CallbackInfo &info)
	{
		tg_interface_counters counters =
		    loader_.InterfaceCounters(info[0].As<Napi::Number>().Uint32Value());
		Napi::Object result = Napi::Object::New(info.Env());

		result.Set("packets", static_cast<double>(counters.packets));
		result.Set("octets", static_cast<double>(counters.octets));
		result.Set("txPackets", static_cast<double>(counters.tx_packets));
		result.Set("txOctets", static_cast<double>(counters.tx_octets));
		return result;
	}

	// runXdp(frame) -> verdict: the real program over one frame, no NIC.
	Napi::Value RunXdp(const Napi::CallbackInfo &info)
	{
		Napi::Uint8Array frame = info[0].As<Napi::Uint8Array>();
		uint32_t verdict = 0;
		BpfError failure = loader_.Run("gateway_xdp", frame.Data(),
					       static_cast<uint32_t>(frame.ByteLength()), &verdict);

		if (failure)
			ThrowBpfError(info.Env(), failure);
		return Napi::Number::New(info.Env(), verdict);
	}

	void SteerLink(const Napi::CallbackInfo &info) { steer_->Link(info); }

	Napi::Value SteerApply(const Napi::CallbackInfo &info) { return steer_->Apply(info, steer_); }

	Napi::Value SteerMaintain(const Napi::CallbackInfo &info) { return steer_->Maintain(info, steer_); }

	void SteerHeartbeat(const Napi::CallbackInfo &info) { steer_->Heartbeat(info); }

	Napi::Value SteerState(const Napi::CallbackInfo &info) { return steer_->State(info); }

	void End()
	{
		steer_->Close();
		loader_.Detach();
		if (capture_)
			capture_->Stop();
		if (!released_)
			events_.Release();
		released_ = true;
	}

	SlabSet slabs_;
	EventSink events_;
	Loader loader_;
	StateFile state_;
	std::string state_problem_;
	std::unique_ptr<Capture> capture_;
	std::shared_ptr<SteeringSlot> steer_ = std::make_shared<SteeringSlot>();
	uint64_t delivered_packets_ = 0, delivered_octets_ = 0; // before this process
	bool released_ = false;
};

void InitCapture(Napi::Env env, Napi::Object exports)
{
	exports.Set("Capture", CaptureBinding::Define(env));
}

} // namespace tidegate
