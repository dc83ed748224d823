#include "capture_values.h"

#include "options.h"

namespace tidegate
{

LoaderOptions GatewayOptions(const Napi::Object &options)
{
	LoaderOptions loader;

	loader.object_path = StringOption(options, "objectPath");
	loader.settings = CacheSettings(options);
	loader.idle_ticks = U32Option(options, "idleTicks");
	loader.sweep_period_ns = static_cast<uint64_t>(NumberOption(options, "sweepPeriodNs"));
	loader.sweep_slice = U32Option(options, "sweepSlice");
	loader.ring_bytes = U32Option(options, "ringBytes");
	loader.pin_directory = StringOption(options, "pinDirectory");
	loader.sweep_per_batch = U32Option(options, "sweepPerBatch");
	loader.clock_packets = U32Option(options, "clockPackets");
	loader.steering = options.Get("steering").As<Napi::Boolean>();
	loader.head_wants = HeadWantsOption(options);
	loader.egress = options.Get("egress").As<Napi::Boolean>();
	loader.behind_xdp = options.Get("behindXdp").As<Napi::Boolean>();
	return loader;
}

CaptureOptions ReaderOptions(const Napi::Object &options)
{
	return {TableOptions(options), std::chrono::milliseconds(U32Option(options, "batchMs"))};
}

Napi::Object CaptureCountersObject(Napi::Env env, const CaptureCounters &counters, bool scan)
{
	Napi::Object result = CountersObject(env, counters.kernel);

	SetTableCounters(result, counters.table);
	result.Set("writtenPackets", static_cast<double>(counters.written_packets));
	result.Set("writtenRows", static_cast<double>(counters.written_rows));
	SetApplicationCounters(result, counters.applications);
	result.Set("missingRecords", static_cast<double>(counters.missing_records));
	if (scan) {
		result.Set("scannedCache", static_cast<double>(counters.scanned_cache));
		result.Set("scannedRings", static_cast<double>(counters.scanned_rings));
		result.Set("scannedTable", static_cast<double>(counters.scanned_table));
		result.Set("quiet", counters.quiet);
	}
	return result;
}

} // namespace tidegate
