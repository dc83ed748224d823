// Time as senders and receivers of frame runs see it.
#ifndef TIDEGATE_FRAME_TIMES_H
#define TIDEGATE_FRAME_TIMES_H

#include <cstdint>
#include <sched.h>
#include <time.h>

namespace tidegate
{

inline uint64_t MonotonicNs()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000ull + static_cast<uint64_t>(now.tv_nsec);
}

// This thread comes before whatever else runs: what is timed is the gateway, not the scheduler. Refused
// without CAP_SYS_NICE: then times are upper bounds.
inline void RunFirst()
{
	struct sched_param first = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO, &first);
}

} // namespace tidegate

#endif
