// The kernel's clocks in nanoseconds.
#ifndef TIDEGATE_CLOCKS_H
#define TIDEGATE_CLOCKS_H

#include <cstdint>
#include <time.h>

namespace tidegate
{

inline uint64_t ClockNs(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000ull + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t MonotonicNs()
{
	return ClockNs(CLOCK_MONOTONIC);
}

} // namespace tidegate

#endif
