// Delta records that lie one behind the other, in a ring or in an array, and are read where they are.
#ifndef TIDEGATE_DELTA_RUN_H
#define TIDEGATE_DELTA_RUN_H

#include <cstddef>
#include <cstdint>

extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

struct DeltaRun {
	const tg_delta *first = nullptr;
	size_t count = 0;
	size_t stride = sizeof(tg_delta); // octets from one record to the next

	const tg_delta &operator[](size_t i) const
	{
		return *reinterpret_cast<const tg_delta *>(reinterpret_cast<const uint8_t *>(first) +
							   i * stride);
	}
};

} // namespace tidegate

#endif
