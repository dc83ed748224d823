// Link layers of capture files other than Ethernet: what lies before the network header.
#ifndef TIDEGATE_LINK_LAYER_H
#define TIDEGATE_LINK_LAYER_H

#include <cstdint>

extern "C" {
#include "parse.h"
}

namespace tidegate
{

constexpr uint32_t kLinkTypeEthernet = 1;

void ParseOtherFrame(const tg_frame &frame, uint32_t link_type, tg_packet *packet);

// Parses a frame of any supported LINKTYPE_* (tcpdump.org/linktypes.html); Ethernet frames take the kernel's
// own entry point, a type that is not supported gives an unparsed packet with reason TG_UNPARSED_LINK_TYPE.
inline void ParseFrame(const tg_frame &frame, uint32_t link_type, tg_packet *packet)
{
	if (link_type == kLinkTypeEthernet)
		tg_parse(nullptr, &frame, packet);
	else
		ParseOtherFrame(frame, link_type, packet);
}

} // namespace tidegate

#endif
