// The user-space build of the meter without a flow table, for tests: frames in, raw records out. The kernel's
// build is in kernel_meter_binding.cc; both are given the same frames.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "addon.h"
#include "head_wants.h"
#include "meter_records.h"
#include "options.h"

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

		const uint8_t *payload = bytes.Data() + packet.payload_offset;

		// A frame that was cut off gives no head, in the kernel neither.
		if (octets == 0 || packet.payload_offset + octets > bytes.ByteLength())
			return;
		if (!tg_head_begun(entry, &packet)) {
			if (!tg_head_begins(payload))
				return;
			tg_head_begin(entry, &packet);
		}
		AppendHead(&heads_, head, payload);
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

void InitUserMeter(Napi::Env env, Napi::Object exports)
{
	exports.Set("UserMeter", UserMeterBinding::Define(env));
	exports.Set("parseFrame", Napi::Function::New(env, ParseFrameJs, "parseFrame"));
}

} // namespace tidegate
