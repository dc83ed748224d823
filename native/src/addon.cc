#include "addon.h"

#include <bpf/libbpf.h>

#include "flow_columns.generated.h"
extern "C" {
#include "flow_abi.h"
}

namespace
{

// What the compiler laid out, for the test that compares it with src/flow/columns.ts and with the object's
// BTF.
Napi::Object Layout(Napi::Env env)
{
	Napi::Object layout = Napi::Object::New(env);
	Napi::Array columns = Napi::Array::New(env);

	for (size_t i = 0; i < static_cast<size_t>(tidegate::Column::Count); i++) {
		Napi::Object column = Napi::Object::New(env);

		column.Set("name", tidegate::kColumns[i].name);
		column.Set("elementBytes", tidegate::kColumns[i].element_bytes);
		column.Set("width", tidegate::kColumns[i].width);
		columns.Set(static_cast<uint32_t>(i), column);
	}
	layout.Set("columns", columns);
	layout.Set("abiVersion", TG_ABI_VERSION);
	layout.Set("unparsedReasons", static_cast<uint32_t>(TG_UNPARSED_REASONS));
	layout.Set("sizes", [&] {
		Napi::Object sizes = Napi::Object::New(env);

		sizes.Set("tg_flow_key", static_cast<uint32_t>(sizeof(tg_flow_key)));
		sizes.Set("tg_delta", static_cast<uint32_t>(sizeof(tg_delta)));
		sizes.Set("tg_counters", static_cast<uint32_t>(sizeof(tg_counters)));
		sizes.Set("tg_cache_settings", static_cast<uint32_t>(sizeof(tg_cache_settings)));
		return sizes;
	}());
	layout.Set("libbpf", libbpf_version_string());
	return layout;
}

Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("layout", Layout(env));
	tidegate::InitApplications(env, exports);
	tidegate::InitCapture(env, exports);
	tidegate::InitInterfaceProbe(env, exports);
	tidegate::InitKernelMeter(env, exports);
	tidegate::InitFlood(env, exports);
	tidegate::InitFrameRun(env, exports);
	tidegate::InitHostProbe(env, exports);
	tidegate::InitOctets(env, exports);
	tidegate::InitPacketBench(env, exports);
	tidegate::InitPrivileges(env, exports);
	tidegate::InitReplay(env, exports);
	tidegate::InitRingBench(env, exports);
	tidegate::InitUserMeter(env, exports);
	tidegate::InitZstd(env, exports);
	return exports;
}

} // namespace

NODE_API_MODULE(tidegate, Init)
