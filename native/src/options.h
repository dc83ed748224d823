// Reads the option objects that TypeScript hands over. TypeScript has checked them; these functions trust it.
#ifndef TIDEGATE_OPTIONS_H
#define TIDEGATE_OPTIONS_H

#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "applications.h"
#include "flow_table.h"
#include "slabs.h"

namespace tidegate
{

inline double NumberOption(const Napi::Object &options, const char *name)
{
	return options.Get(name).As<Napi::Number>().DoubleValue();
}

inline uint32_t U32Option(const Napi::Object &options, const char *name)
{
	return options.Get(name).As<Napi::Number>().Uint32Value();
}

inline std::string StringOption(const Napi::Object &options, const char *name)
{
	return options.Get(name).As<Napi::String>().Utf8Value();
}

// The cache's settings: cacheEntries, exportTicks, secret (Uint32Array of 13), sizeLut (Uint8Array of 128),
// tunnels.
inline tg_cache_settings CacheSettings(const Napi::Object &options)
{
	tg_cache_settings settings{};
	Napi::Uint32Array secret = options.Get("secret").As<Napi::Uint32Array>();
	Napi::Uint8Array lut = options.Get("sizeLut").As<Napi::Uint8Array>();

	settings.mask = U32Option(options, "cacheEntries") - 1;
	settings.export_ticks = U32Option(options, "exportTicks");
	for (size_t i = 0; i < TG_SECRET_WORDS; i++)
		settings.secret[i] = secret[i];
	for (size_t i = 0; i < TG_SIZE_LUT; i++)
		settings.size_lut[i] = lut[i];
	settings.tunnels = static_cast<uint8_t>(U32Option(options, "tunnels"));
	settings.head_bytes = static_cast<uint8_t>(U32Option(options, "headBytes"));
	settings.heads = options.Has("headWants") ? 1 : 0;
	return settings;
}

// The payloads that are wanted: headWants, a Uint32Array of {protocol, port, octets, packets, sides} each;
// absent = none.
inline std::vector<std::pair<tg_head_service, tg_head_want>> HeadWantsOption(const Napi::Object &options)
{
	std::vector<std::pair<tg_head_service, tg_head_want>> wants;

	if (!options.Has("headWants"))
		return wants;
	Napi::Uint32Array words = options.Get("headWants").As<Napi::Uint32Array>();

	for (size_t i = 0; i + 5 <= words.ElementLength(); i += 5)
		wants.push_back({tg_head_service{.port = static_cast<tg_u16>(words[i + 1]),
						 .protocol = static_cast<tg_u8>(words[i]),
						 .reserved = 0},
				 tg_head_want{.octets = static_cast<tg_u16>(words[i + 2]),
					      .packets = static_cast<tg_u8>(words[i + 3]),
					      .sides = static_cast<tg_u8>(words[i + 4])}});
	return wants;
}

// What the heads are for: applications {decoders, rules, maxFlows}, see src/capture/addon.ts; null when it is
// absent.
std::unique_ptr<Applications> ApplicationsOption(const Napi::Object &options);

inline AddressMaskOptions AddressOptions(const Napi::Object &options)
{
	AddressMaskOptions result;
	Napi::Uint8Array key = options.Get("addressKey").As<Napi::Uint8Array>();

	result.mode = static_cast<AddressMode>(U32Option(options, "addressMode"));
	result.ipv4_prefix = static_cast<uint8_t>(U32Option(options, "ipv4Prefix"));
	result.ipv6_prefix = static_cast<uint8_t>(U32Option(options, "ipv6Prefix"));
	for (size_t i = 0; i < result.key.size(); i++)
		result.key[i] = key[i];
	return result;
}

inline FlowTableOptions TableOptions(const Napi::Object &options)
{
	return FlowTableOptions{
	    .idle_ns = static_cast<uint64_t>(NumberOption(options, "idleNs")),
	    .active_ns = static_cast<uint64_t>(NumberOption(options, "activeNs")),
	    .grace_ns = static_cast<uint64_t>(NumberOption(options, "graceNs")),
	    .max_flows = U32Option(options, "maxFlows"),
	    .sampling_interval = 1,
	    .addresses = AddressOptions(options),
	};
}

// The slabs are SharedArrayBuffers seen through Uint8Arrays: node-api has no call for a SharedArrayBuffer
// itself. The references keep the memory alive for as long as the owner lives.
struct SlabSet {
	std::vector<SlabMemory> memory;
	std::vector<Napi::ObjectReference> references;

	explicit SlabSet(const Napi::Object &options)
	{
		Napi::Array views = options.Get("slabs").As<Napi::Array>();

		for (uint32_t i = 0; i < views.Length(); i++) {
			Napi::Uint8Array view = views.Get(i).As<Napi::Uint8Array>();
			void *data = nullptr;
			size_t length = 0;

			napi_get_typedarray_info(view.Env(), view, nullptr, &length, &data, nullptr, nullptr);
			memory.push_back({static_cast<uint8_t *>(data), length});
			references.push_back(Napi::Persistent(view.As<Napi::Object>()));
		}
	}
};

// Events that a worker thread posts to JavaScript: a slab's number, or one of these.
constexpr int32_t kEventFlushed = -1;
constexpr int32_t kEventDone = -2;

// Calls a JavaScript function with an event number from any thread.
class EventSink
{
      public:
	EventSink(Napi::Env env, Napi::Function callback, const char *name)
	    : function_(Napi::ThreadSafeFunction::New(env, callback, name, 0, 1))
	{
	}
	void Post(int32_t event)
	{
		auto call = [](Napi::Env env, Napi::Function callback, void *data) {
			callback.Call({Napi::Number::New(env, static_cast<double>(static_cast<int32_t>(
								  reinterpret_cast<intptr_t>(data))))});
		};
		function_.NonBlockingCall(reinterpret_cast<void *>(static_cast<intptr_t>(event)), call);
	}
	void Release() { function_.Release(); }

      private:
	Napi::ThreadSafeFunction function_;
};

inline void SetTableCounters(Napi::Object &result, const FlowTableCounters &counters)
{
	result.Set("mergedRecords", static_cast<double>(counters.merged_records));
	result.Set("mergedPackets", static_cast<double>(counters.merged_packets));
	result.Set("emittedRecords", static_cast<double>(counters.emitted_records));
	result.Set("emittedPackets", static_cast<double>(counters.emitted_packets));
	result.Set("flowsCreated", static_cast<double>(counters.flows_created));
	result.Set("flowsActive", static_cast<double>(counters.flows_active));
	result.Set("foldedRecords", static_cast<double>(counters.folded_records));
}

inline void SetApplicationCounters(Napi::Object &result, const ApplicationCounters &counters)
{
#define TG_SET(name) result.Set(#name, static_cast<double>(counters.name));
	TG_APPLICATION_COUNTERS(TG_SET)
#undef TG_SET
	result.Set("applicationFlows", static_cast<double>(counters.flows));
}

inline Napi::Object CountersObject(Napi::Env env, const tg_counters &counters)
{
	Napi::Object result = Napi::Object::New(env);
	Napi::Array unparsed = Napi::Array::New(env, TG_UNPARSED_REASONS);

#define TG_SET(name) result.Set(#name, static_cast<double>(counters.name));
	TG_COUNTERS(TG_SET)
#undef TG_SET
	for (uint32_t i = 0; i < TG_UNPARSED_REASONS; i++)
		unparsed.Set(i, static_cast<double>(counters.unparsed[i]));
	result.Set("unparsed", unparsed);
	return result;
}

} // namespace tidegate

#endif
