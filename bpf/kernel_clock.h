/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * When did a packet arrive? Reading the clock for each one costs more than metering it (28 ns on kvm-clock,
 * and the fenced TSC stops cache misses from overlapping). So it is read at the first packet of each run of
 * the NIC's poll loop, where packets that come singly all are, and then once in `every` packets: exact when
 * traffic is sparse, about a microsecond off at full speed.
 *
 * How a run is recognised: since Linux 6.11 each run has its own bpf_net_context, whose redirect information
 * is zeroed before first use. bpf_redirect(1, 0) leaves a mark there (tgt_index = 1) that lasts for the run,
 * and sends nothing anywhere, because XDP_PASS is what is returned. On kernels without it the clock is always
 * read. Should a driver or another program disturb the mark, a changed jiffy bounds the error to one tick of
 * the kernel.
 */
#ifndef TIDEGATE_KERNEL_CLOCK_H
#define TIDEGATE_KERNEL_CLOCK_H

#include <bpf/bpf_core_read.h>

#include "flow_abi.h"

/* include/linux/filter.h: the redirect information of this context was zeroed. */
#define TG_REDIRECT_INITIALISED (1 << 1)

/* BPF_PROG_TEST_RUN makes a context for each packet; the bench puts runs of a NIC's length here. */
#ifndef TG_RUN_STARTED
#define TG_RUN_STARTED(state, detected) (detected)
#endif

struct bpf_redirect_info {
	tg_u64 tgt_index;
	tg_u32 kern_flags;
} __attribute__((preserve_access_index));

struct bpf_net_context {
	struct bpf_redirect_info ri;
} __attribute__((preserve_access_index));

struct task_struct {
	struct bpf_net_context *bpf_net_context;
} __attribute__((preserve_access_index));

static __always_inline void tg_clock_read(struct tg_cpu_state *state)
{
	state->now_ns = bpf_ktime_get_ns();
	state->jiffies = bpf_jiffies64();
	state->since = 0;
}

/* Brings state->now_ns up to date. Returns 1 for the first packet of a run. */
static __always_inline int tg_clock(struct tg_cpu_state *state, tg_u32 every)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct bpf_net_context *run;

	if (every <= 1 || !bpf_core_field_exists(task->bpf_net_context)) {
		tg_clock_read(state);
		return (state->batches++ & 15) == 0;
	}
	run = task->bpf_net_context;
	if (TG_RUN_STARTED(state,
			   !(run->ri.kern_flags & TG_REDIRECT_INITIALISED) || run->ri.tgt_index == 0)) {
		bpf_redirect(1, 0);
		tg_clock_read(state);
		state->batches++;
		return 1;
	}
	if (++state->since >= every || bpf_jiffies64() != state->jiffies)
		tg_clock_read(state);
	return 0;
}

#endif
