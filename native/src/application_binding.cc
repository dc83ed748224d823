// Options of what payload heads are read for, and the decoders by themselves for tests.
#include "addon.h"
#include "decode.h"
#include "options.h"

namespace tidegate
{

namespace
{
DecoderPorts PortsOption(const Napi::Object &decoders, const char *name)
{
	Napi::Object option = decoders.Get(name).As<Napi::Object>();
	Napi::Uint32Array ports = option.Get("ports").As<Napi::Uint32Array>();
	DecoderPorts result;

	result.any = option.Get("any").As<Napi::Boolean>();
	for (size_t i = 0; i < ports.ElementLength(); i++)
		result.ports.push_back(static_cast<uint16_t>(ports[i]));
	return result;
}

HeaderRule RuleOption(const Napi::Object &option)
{
	Napi::Uint8Array mask = option.Get("mask").As<Napi::Uint8Array>();

	return {.name = StringOption(option, "name"),
		.protocol = static_cast<uint8_t>(U32Option(option, "protocol")),
		.port = static_cast<uint16_t>(U32Option(option, "port")),
		.side = static_cast<uint8_t>(U32Option(option, "side")),
		.offset = static_cast<uint16_t>(U32Option(option, "offset")),
		.mask = {mask.Data(), mask.Data() + mask.ByteLength()}};
}

// decodeApplication(decoder, octets) -> the text of a flow whose first payload that is. `decoder` is tls,
// http, dns, dnsStream or quic.
Napi::Value DecodeApplicationJs(const Napi::CallbackInfo &info)
{
	std::string decoder = info[0].As<Napi::String>();
	Napi::Uint8Array octets = info[1].As<Napi::Uint8Array>();
	const uint8_t *data = octets.Data();
	size_t size = octets.ByteLength();
	NameFilter plain = [](std::string_view name) { return std::string(name); };
	ApplicationText text;
	QuicCrypto crypto;

	if (decoder == "tls")
		DecodeTls(data, size, plain, &text);
	else if (decoder == "http")
		DecodeHttp(data, size, plain, &text);
	else if (decoder == "quic")
		DecodeQuic(data, size, false, plain, &crypto, &text);
	else
		DecodeDns(data, size, decoder == "dnsStream", plain, &text);
	return Napi::Buffer<uint8_t>::Copy(
	    info.Env(), reinterpret_cast<const uint8_t *>(text.octets().data()), text.octets().size());
}
} // namespace

std::unique_ptr<Applications> ApplicationsOption(const Napi::Object &options)
{
	if (!options.Has("applications"))
		return nullptr;
	Napi::Object option = options.Get("applications").As<Napi::Object>();
	Napi::Object decoders = option.Get("decoders").As<Napi::Object>();
	Napi::Array rules = option.Get("rules").As<Napi::Array>();
	ApplicationOptions result{.tls = PortsOption(decoders, "tls"),
				  .http = PortsOption(decoders, "http"),
				  .dns = PortsOption(decoders, "dns"),
				  .quic = PortsOption(decoders, "quic"),
				  .rules = {},
				  .max_flows = U32Option(option, "maxFlows"),
				  .idle_ns = static_cast<uint64_t>(NumberOption(options, "idleNs")),
				  .addresses = AddressOptions(options)};

	for (uint32_t i = 0; i < rules.Length(); i++)
		result.rules.push_back(RuleOption(rules.Get(i).As<Napi::Object>()));
	return std::make_unique<Applications>(result);
}

void InitApplications(Napi::Env env, Napi::Object exports)
{
	exports.Set("decodeApplication", Napi::Function::New(env, DecodeApplicationJs, "decodeApplication"));
}

} // namespace tidegate
