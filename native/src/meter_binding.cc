// The meter without a NIC and without a flow table, for tests and benches: the same frames through the
// kernel's build (BPF_PROG_TEST_RUN on one CPU, no sweep timer) and through the user-space build, each giving
// raw records.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <sched.h>
#include <vector>

#include "addon.h"
#include "bpf_error.h"
#include "head_reader.h"
#include "head_wants.h"
#include "loader.h"
#include "options.h"
#include "ring_reader.h"

// The user-space build of the cache needs its own `struct tg_cache`; the name is made unique to this file.
#define tg_cache tg_recording_cache

struct tg_recording_cache {
	std::vector<tg_delta> entries;
	std::vector<tg_delta> *records;
	tg_counters *counters;
};

static inline tg_delta *tg_cache_entry(tg_recording_cache *cache, tg_u32 index)
{
	return &cache->entries[index];
}

static inline void tg_cache_export(tg_recording_cache *cache, tg_delta *entry, tg_u8 reason)
{
	tg_delta record = *entry;

	record.tag = static_cast<tg_u32>(cache->counters->exported_records++);
	record.reason = reason;
	record.cpu = 0;
	record.entry_tick = 1;
	cache->counters->exported_packets += static_cast<tg_u64>(entry->packets[0]) + entry->packets[1];
	cache->counters->exported_octets += static_cast<tg_u64>(entry->octets[0]) + entry->octets[1];
	cache->records->push_back(record);
}

extern "C" {
#include "flow_cache.h"
#include "fragments.h"
#include "heads.h"
}

namespace tidegate
{

namespace
{
Napi::Value RecordsToBuffer(Napi::Env env, std::vector<tg_delta> *records)
{
	Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(
	    env, reinterpret_cast<const uint8_t *>(records->data()), records->size() * sizeof(tg_delta));

	records->clear();
	return buffer;
}

// Heads one after the other, each followed by its octets.
void AppendHead(std::vector<uint8_t> *heads, const tg_head &head, const uint8_t *payload)
{
	const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&head);

	heads->insert(heads->end(), bytes, bytes + sizeof(head));
	heads->insert(heads->end(), payload, payload + head.octets);
}

Napi::Value TakeHeads(Napi::Env env, std::vector<uint8_t> *heads)
{
	Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(env, heads->data(), heads->size());

	heads->clear();
	return buffer;
}
} // namespace

class UserMeterBinding : public Napi::ObjectWrap<UserMeterBinding>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "UserMeter",
				   {
				       InstanceMethod<&UserMeterBinding::Run>("run"),
				       InstanceMethod<&UserMeterBinding::Flush>("flush"),
				       InstanceMethod<&UserMeterBinding::Records>("records"),
				       InstanceMethod<&UserMeterBinding::Heads>("heads"),
				       InstanceMethod<&UserMeterBinding::Counters>("counters"),
				   });
	}

	explicit UserMeterBinding(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<UserMeterBinding>(info), settings_(CacheSettings(info[0].As<Napi::Object>())),
	      wants_(HeadWantsOption(info[0].As<Napi::Object>()))
	{
		cache_.entries.resize(settings_.mask + 1);
		cache_.records = &records_;
		cache_.counters = &counters_;
		fragments_.resize(TG_FRAGMENT_SLOTS);
	}

      private:
	// run(frame, tick, ifindex)
	void Run(const Napi::CallbackInfo &info)
	{
		Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
		tg_frame frame = {bytes.Data(), bytes.Data() + bytes.ByteLength(),
				  static_cast<tg_u32>(bytes.ByteLength()),
				  settings_.tunnels | (settings_.heads ? TG_PARSE_SEQUENCE : 0u)};
		tg_packet packet;

		now_ = info[1].As<Napi::Number>().Uint32Value();
		tg_parse(nullptr, &frame, &packet);
		if (packet.fragment)
			tg_fragment_follow(fragments_.data(), &packet);
		tg_count_packet(&counters_, &packet);
		tg_delta *entry = tg_cache_update(
		    &cache_, &packet, now_, info[2].As<Napi::Number>().Uint32Value(), &settings_, &counters_);
		uint32_t kept = std::min<uint32_t>(packet.payload, settings_.head_bytes);

		if (kept && !tg_has_head(entry, packet.direction) &&
		    packet.payload_offset + kept <= bytes.ByteLength())
			std::memcpy(entry->head[packet.direction & 1], bytes.Data() + packet.payload_offset,
				    kept);
		if (settings_.heads && tg_head_open(entry, &packet))
			Head(packet, entry, bytes);
	}

	void Head(const tg_packet &packet, tg_delta *entry, const Napi::Uint8Array &bytes)
	{
		tg_head head{};
		tg_u32 octets = tg_head_next(
		    entry, &packet, wants_.Of(tg_head_service_of(&packet, 1)),
		    wants_.Of(tg_head_service_of(&packet, 0)),
		    wants_.Of({.port = TG_HEAD_PORT_ANY, .protocol = packet.key.protocol, .reserved = 0}),
		    &head);

		// A frame that was cut off gives no head, in the kernel neither.
		if (octets != 0 && packet.payload_offset + octets <= bytes.ByteLength())
			AppendHead(&heads_, head, bytes.Data() + packet.payload_offset);
	}

	Napi::Value Heads(const Napi::CallbackInfo &info) { return TakeHeads(info.Env(), &heads_); }

	void Flush(const Napi::CallbackInfo &)
	{
		for (tg_u32 i = 0; i <= settings_.mask; i++)
			tg_sweep(&cache_, i, now_, 0, 0, &counters_);
	}

	Napi::Value Records(const Napi::CallbackInfo &info) { return RecordsToBuffer(info.Env(), &records_); }

	Napi::Value Counters(const Napi::CallbackInfo &info) { return CountersObject(info.Env(), counters_); }

	tg_cache_settings settings_;
	tg_cache cache_{};
	std::vector<tg_delta> records_;
	HeadWants wants_;
	std::vector<uint8_t> heads_;
	std::vector<tg_fragment_slot> fragments_;
	tg_counters counters_{};
	tg_u32 now_ = 0;
};

namespace
{
// parseFrame(frame, tunnels) -> {quick, slow}: what each way through the parser makes of a frame, as the
// octets of struct tg_packet before its scratch space; `quick` is absent when that way declines.
Napi::Value ParseFrameJs(const Napi::CallbackInfo &info)
{
	Napi::Uint8Array bytes = info[0].As<Napi::Uint8Array>();
	tg_frame frame = {bytes.Data(), bytes.Data() + bytes.ByteLength(),
			  static_cast<tg_u32>(bytes.ByteLength()),
			  info[1].As<Napi::Number>().Uint32Value() | TG_PARSE_SEQUENCE};
	Napi::Object result = Napi::Object::New(info.Env());
	tg_packet packet;
	auto facts = [&] {
		// Meaningless without a fragment or a payload, so not compared.
		if (!packet.fragment)
			packet.fragment_id = 0;
		if (!packet.payload)
			packet.payload_offset = 0;
		if (!packet.is_tcp)
			packet.sequence = 0;
		packet.reserved = 0;
		return Napi::Buffer<uint8_t>::Copy(info.Env(), reinterpret_cast<const uint8_t *>(&packet),
						   offsetof(tg_packet, source));
	};

	if (tg_parse_quick(&frame, &packet))
		result.Set("quick", facts());
	tg_parse_frame(&frame, &packet);
	result.Set("slow", facts());
	return result;
}
} // namespace

// The kernel's build, one frame at a time on CPU 0.
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

void InitMeters(Napi::Env env, Napi::Object exports)
{
	exports.Set("UserMeter", UserMeterBinding::Define(env));
	exports.Set("KernelMeter", KernelMeterBinding::Define(env));
	exports.Set("parseFrame", Napi::Function::New(env, ParseFrameJs, "parseFrame"));
}

} // namespace tidegate
