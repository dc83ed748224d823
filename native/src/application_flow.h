// What is held of a flow that may have something to tell; for applications.cc and application_heads.cc only.
#ifndef TIDEGATE_APPLICATION_FLOW_H
#define TIDEGATE_APPLICATION_FLOW_H

#include "applications.h"

namespace tidegate
{

// The beginning of one side's stream, or how far its datagrams were looked at.
struct Applications::Stream {
	bool begun = false;
	uint8_t open = 0;      // decoders that may still find something
	uint8_t doubted = 0;   // those to which the first segment meant nothing: is it the first?
	uint32_t base = 0;     // sequence number of the first octet
	std::string octets;    // without a hole
	uint32_t ahead_at = 0; // offset of one segment that came too early
	std::string ahead;
	QuicCrypto quic;
	size_t held = 0; // octets of these that pending_ counts
};

struct Applications::Flow {
	ApplicationText text;
	uint64_t begin_ns = 0, last_ns = 0;
	Stream streams[2];
	std::unique_ptr<Flow> next; // another flow with this key, while records of this one are to come
	std::list<tg_flow_key>::iterator place;
};

} // namespace tidegate

#endif
