// Time for the changes of steering, which wait for CPUs and flows.
#ifndef TIDEGATE_STEERING_TIME_H
#define TIDEGATE_STEERING_TIME_H

#include <cstdint>
#include <time.h>

#include "clocks.h"

namespace tidegate
{

inline void SleepNs(uint64_t ns)
{
	struct timespec time = {static_cast<time_t>(ns / 1000000000ull),
				static_cast<long>(ns % 1000000000ull)};

	nanosleep(&time, nullptr);
}

} // namespace tidegate

#endif
