// The kernel's build of the meter without a NIC and without a flow table, for tests: one frame at a time by
// BPF_PROG_TEST_RUN on CPU 0, no sweep timer, raw records out.
#include <algorithm>
#include <sched.h>
#include <vector>

#include "addon.h"
#include "bpf_error.h"
#include "head_reader.h"
#include "loader.h"
#include "meter_records.h"
#include "options.h"
#include "ring_reader.h"

namespace tidegate
{

class KernelMeterBinding : public Napi::ObjectWrap<KernelMeterBinding>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "KernelMeter",
				   {
				       InstanceMethod<&KernelMeterBinding::Run>("run"),
				       InstanceMethod<&KernelMeterBinding::Flush>("flush"),
				       InstanceMethod<&KernelMeterBinding::Records>("records"),
				       InstanceMethod<&KernelMeterBinding::Heads>("heads"),
				       InstanceMethod<&KernelMeterBinding::Overload>("overload"),
				       InstanceMethod<&KernelMeterBinding::Counters>("counters"),
				   });
	}

	explicit KernelMeterBinding(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<KernelMeterBinding>(info)
	{
		Napi::Object options = info[0].As<Napi::Object>();
		LoaderOptions loader;

		loader.object_path = StringOption(options, "objectPath");
		loader.settings = CacheSettings(options);
		loader.idle_ticks = 0xffffffff;
		loader.sweep_period_ns = 1000000000;
		loader.sweep_slice = 1;
		loader.ring_bytes = U32Option(options, "ringBytes");
		loader.head_ring_bytes = loader.ring_bytes;
		loader.head_wants = HeadWantsOption(options);
		const std::string hook = options.Get("hook").As<Napi::String>();

		loader.egress = hook == "egress";
		loader.behind_xdp = hook == "ingress";
		program_ = loader.egress       ? "gateway_egress"
			   : loader.behind_xdp ? "gateway_ingress"
					       : "gateway_xdp";
		BpfError failure = loader_.Load(loader);
		int error = failure ? 0 : ring_.Open(loader_.ring_fd(0), loader.ring_bytes);

		if (!failure && !error)
			error = head_ring_.Open(loader_.map_fd("heads"), loader.head_ring_bytes);

		if (error)
			failure = BpfError{error, "map a ring buffer", ""};
		if (failure)
			ThrowBpfError(info.Env(), failure);
	}

      private:
	// run(frame) -> {verdict, tick}: the time that the program read, so that other builds can be given
	// the same.
	Napi::Value Run(const Napi::CallbackInfo &info)
	{
		Napi::Uint8Array frame = info[0].As<Napi::Uint8Array>();
		Napi::Object result = Napi::Object::New(info.Env());
		cpu_set_t before, one;
		uint32_t verdict = 0;

		CPU_ZERO(&one);
		CPU_SET(0, &one);
		sched_getaffinity(0, sizeof(before), &before);
		sched_setaffinity(0, sizeof(one), &one);
		BpfError failure =
		    loader_.Run(program_, frame.Data(), static_cast<uint32_t>(frame.ByteLength()), &verdict);

		sched_setaffinity(0, sizeof(before), &before);
		if (failure)
			ThrowBpfError(info.Env(), failure);
		result.Set("verdict", static_cast<int32_t>(verdict));
		result.Set("tick", static_cast<uint32_t>(loader_.CpuState(0).now_ns >> TG_TICK_SHIFT));
		return result;
	}

	void Flush(const Napi::CallbackInfo &info)
	{
		for (uint32_t first = 0; first < loader_.cache_entries(); first += loader_.flush_slice()) {
			uint32_t left = loader_.cache_entries() - first;
			BpfError failure = loader_.FlushSlots(first, std::min(loader_.flush_slice(), left));

			if (failure)
				return ThrowBpfError(info.Env(), failure);
			Drain();
		}
	}

	Napi::Value Records(const Napi::CallbackInfo &info)
	{
		Drain();
		return RecordsToBuffer(info.Env(), &records_);
	}

	Napi::Value Heads(const Napi::CallbackInfo &info)
	{
		std::vector<uint8_t> heads;

		head_ring_.Read(SIZE_MAX, [&](const tg_head &head, const uint8_t *payload) {
			AppendHead(&heads, head, payload);
		});
		return TakeHeads(info.Env(), &heads);
	}

	// overload(sampling, foldNew, withoutHeads)
	void Overload(const Napi::CallbackInfo &info)
	{
		loader_.SetOverload(tg_overload{.sampling = info[0].As<Napi::Number>(),
						.timeout_shift = 0,
						.without_heads = info[2].As<Napi::Boolean>(),
						.fold_new = info[1].As<Napi::Boolean>(),
						.level = 0});
	}

	Napi::Value Counters(const Napi::CallbackInfo &info)
	{
		return CountersObject(info.Env(), loader_.Counters());
	}

	void Drain()
	{
		for (DeltaRun run = ring_.Take(SIZE_MAX); run.count != 0; run = ring_.Take(SIZE_MAX)) {
			for (size_t i = 0; i < run.count; i++)
				records_.push_back(run[i]);
		}
		ring_.Commit();
	}

	Loader loader_;
	RingReader ring_;
	HeadReader head_ring_;
	const char *program_ = nullptr;
	std::vector<tg_delta> records_;
};

void InitKernelMeter(Napi::Env env, Napi::Object exports)
{
	exports.Set("KernelMeter", KernelMeterBinding::Define(env));
}

} // namespace tidegate
