#include "link_layer.h"

#include <cstring>

namespace tidegate
{

namespace
{
enum LinkType : uint32_t {
	kNull = 0,
	kPpp = 9,
	kRawOpenBsd = 12,
	kRawOther = 14,
	kPppHdlc = 50,
	kPppEther = 51,
	kRaw = 101,
	kCiscoHdlc = 104,
	kLoop = 108,
	kLinuxSll = 113,
	kIpv4 = 228,
	kIpv6 = 229,
	kLinuxSll2 = 276,
};

constexpr uint16_t kPppIpv4 = 0x0021, kPppIpv6 = 0x0057;

// The network header names its own version where the link layer does not.
uint16_t VersionType(uint8_t first)
{
	return first >> 4 == 4 ? TG_ETHERTYPE_IPV4 : first >> 4 == 6 ? TG_ETHERTYPE_IPV6 : 0;
}

uint16_t PppType(uint16_t protocol)
{
	return protocol == kPppIpv4 ? TG_ETHERTYPE_IPV4 : protocol == kPppIpv6 ? TG_ETHERTYPE_IPV6 : protocol;
}

struct Network {
	uint32_t offset;
	uint16_t ethertype;
	bool supported;
};

// Where the network header begins and what it is; an offset beyond `readable` is a frame that was cut off.
Network Locate(const uint8_t *p, uint32_t readable, uint32_t link_type)
{
	auto at16 = [&](uint32_t offset) -> uint16_t {
		return readable >= offset + 2 ? tg_load16(p + offset) : 0;
	};

	switch (link_type) {
	case kRawOpenBsd:
	case kRawOther:
	case kRaw:
	case kIpv4:
	case kIpv6:
		return {readable ? 0u : 1u, readable ? VersionType(p[0]) : uint16_t{0}, true};
	case kNull:
	case kLoop:
		// An address family in the byte order of the machine that captured: the version tells
		// instead.
		return {4, readable > 4 ? VersionType(p[4]) : uint16_t{0}, true};
	case kPpp:
	case kPppHdlc: {
		// Address and control (RFC 1662) may be compressed away, and so may the protocol's first
		// octet, which is even when it is there (RFC 1661).
		uint32_t offset = readable > 1 && p[0] == 0xff && p[1] == 0x03 ? 2 : 0;

		if (readable > offset && (p[offset] & 1))
			return {offset + 1, PppType(p[offset]), true};
		return {offset + 2, PppType(at16(offset)), true};
	}
	case kPppEther:
		return {0, TG_ETHERTYPE_PPPOE, true};
	case kCiscoHdlc:
		return {4, at16(2), true};
	case kLinuxSll:
		return {16, at16(14), true};
	case kLinuxSll2:
		return {20, at16(0), true};
	default:
		return {0, 0, false};
	}
}
} // namespace

void ParseOtherFrame(const tg_frame &frame, uint32_t link_type, tg_packet *packet)
{
	uint32_t readable = static_cast<uint32_t>(frame.data_end - frame.data);
	Network network = Locate(frame.data, readable, link_type);

	std::memset(packet, 0, sizeof(*packet));
	if (!network.supported)
		return tg_unparsed(packet, &frame, TG_UNPARSED_LINK_TYPE, 0);
	if (readable < network.offset)
		return tg_unparsed(packet, &frame, TG_UNPARSED_SHORT_ETHERNET, 0);
	tg_parse_network(nullptr, &frame, packet, network.ethertype, network.offset);
}

} // namespace tidegate
