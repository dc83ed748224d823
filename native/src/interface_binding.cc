#include "addon.h"
#include "bpf_error.h"
#include "nic_probe.h"

namespace tidegate
{

namespace
{
// probeInterface(name, netns) -> {index, mtu, driver, xdp: none | native | generic | offload, programId}
Napi::Value ProbeInterfaceJs(const Napi::CallbackInfo &info)
{
	NicFacts facts;
	int error = ProbeNic(info[0].As<Napi::String>(), info[1].As<Napi::String>(), &facts);

	if (error) {
		ThrowBpfError(info.Env(), BpfError{error, "look at the interface", ""});
		return info.Env().Undefined();
	}
	Napi::Object result = Napi::Object::New(info.Env());

	result.Set("index", facts.ifindex);
	result.Set("mtu", facts.mtu);
	result.Set("driver", facts.driver);
	result.Set("up", facts.up);
	result.Set("xdp", facts.xdp_mode);
	result.Set("programId", facts.program_id);
	result.Set("stripsVlan", facts.strips_vlan);
	result.Set("tellsVlan", facts.tells_vlan);
	if (facts.xdp_features)
		result.Set("xdpFeatures", static_cast<double>(*facts.xdp_features));
	else
		result.Set("xdpFeatures", info.Env().Null());
	return result;
}
} // namespace

void InitInterfaceProbe(Napi::Env env, Napi::Object exports)
{
	exports.Set("probeInterface", Napi::Function::New(env, ProbeInterfaceJs, "probeInterface"));
}

} // namespace tidegate
