// Where the flow table asks what is known of a flow's application, and tells which flows are over.
#ifndef TIDEGATE_APPLICATION_SOURCE_H
#define TIDEGATE_APPLICATION_SOURCE_H

#include <cstdint>
#include <string>

extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

class ApplicationSource
{
      public:
	virtual ~ApplicationSource() = default;

	// The text (application_text.h) of the flow whose last packet so far was at `last_ns` (source clock);
	// null = nothing.
	virtual const std::string *Find(const tg_flow_key &key, uint64_t last_ns) const = 0;

	// The flow whose last packet was at `last_ns` is over; another one with its key may have begun since.
	virtual void End(const tg_flow_key &key, uint64_t last_ns) = 0;
};

} // namespace tidegate

#endif
