// Time as senders and receivers of frame runs see it.
#ifndef TIDEGATE_FRAME_TIMES_H
#define TIDEGATE_FRAME_TIMES_H

#include <sched.h>

#include "clocks.h"

namespace tidegate
{

// This thread comes before whatever else runs: what is timed is the gateway, not the scheduler. Refused
// without CAP_SYS_NICE: then times are upper bounds.
inline void RunFirst()
{
	struct sched_param first = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO, &first);
}

} // namespace tidegate

#endif
