/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Entries that leave without a packet: silent ones, old ones, and all of them when user space says so. */
#ifndef TIDEGATE_SWEEP_H
#define TIDEGATE_SWEEP_H

#include "flow_cache.h"
#include "kernel_clock.h"

#define CLOCK_MONOTONIC 1
#ifndef BPF_F_TIMER_CPU_PIN
#define BPF_F_TIMER_CPU_PIN (1ULL << 1)
#endif

struct sweep_loop {
	struct tg_cache cache;
	tg_u32 cursor;
	tg_u32 now;
	tg_u32 idle;
	tg_u32 export;
};

static long sweep_one(tg_u64 i, struct sweep_loop *loop)
{
	tg_u32 cpu = loop->cache.cpu;
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);

	if (!c)
		return 1;
	tg_sweep(&loop->cache, (loop->cursor + (tg_u32)i) & settings.mask, loop->now, loop->idle,
		 loop->export, c);
	return 0;
}

/*
 * Looks at the next `slots` cache slots of this CPU and makes silent and old entries leave, as far as half of
 * the ring has room: sweeping can wait, so it never makes a ring overflow that packets may need.
 */
static __attribute__((noinline)) int sweep(struct tg_cpu_state *state, tg_u32 cpu, tg_u32 slots)
{
	struct sweep_loop loop = {};
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	tg_u64 used;
	tg_u32 room;

	if (!state || !ring)
		return 0;
	used = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	room = used < ring_bytes / 2 ? (ring_bytes / 2 - (tg_u32)used) / RING_RECORD_BYTES : 0;
	if (slots > room)
		slots = room;
	loop.cache.cpu = cpu;
	loop.cache.base = cpu * (settings.mask + 1);
	loop.cursor = state->sweep_cursor;
	loop.now = (tg_u32)(state->now_ns >> TG_TICK_SHIFT);
	loop.idle = idle_ticks << (state->overload.timeout_shift & 7);
	loop.export = settings.export_ticks << (state->overload.timeout_shift & 7);
	bpf_loop(slots, sweep_one, &loop, 0);
	state->sweep_cursor = (loop.cursor + slots) & settings.mask;
	return 0;
}

/* Queues that went silent are swept here; busy ones mostly sweep themselves. */
static int sweep_timer_fired(void *map, tg_u32 *key, struct sweep_timer *timer)
{
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);

	/* After CPU hot-unplug a timer may land elsewhere; another CPU's entries are not ours to touch. */
	if (cpu == *key && c && state) {
		tg_clock_read(state);
		sweep(state, cpu, sweep_slice);
		c->timer_ticks++;
	}
	bpf_timer_start(&timer->timer, sweep_period_ns, BPF_F_TIMER_CPU_PIN);
	return 0;
}

/* Run once on each CPU by BPF_PROG_TEST_RUN. Returns 0 when the CPU's timer runs. */
SEC("tc")
int gateway_arm(struct __sk_buff *skb)
{
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct sweep_timer *timer = bpf_map_lookup_elem(&sweep_timers, &cpu);
	long status;

	if (!timer)
		return 1;
	status = bpf_timer_init(&timer->timer, &sweep_timers, CLOCK_MONOTONIC);
	if (status && status != -16 /* EBUSY: armed before */)
		return 2;
	if (bpf_timer_set_callback(&timer->timer, sweep_timer_fired))
		return 3;
	return bpf_timer_start(&timer->timer, sweep_period_ns, BPF_F_TIMER_CPU_PIN) ? 4 : 0;
}

/* Run on a CPU by BPF_PROG_TEST_RUN: everything resident in the slots that the frame names leaves now. */
SEC("tc")
int gateway_flush(struct __sk_buff *skb)
{
	struct tg_flush_request *request = (void *)(long)skb->data + TG_FLUSH_REQUEST_OFFSET;
	struct sweep_loop loop = {};
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);

	if ((void *)(request + 1) > (void *)(long)skb->data_end || !state)
		return 1;
	tg_clock_read(state);
	loop.now = (tg_u32)(state->now_ns >> TG_TICK_SHIFT);
	loop.cache.cpu = cpu;
	loop.cache.base = loop.cache.cpu * (settings.mask + 1);
	loop.cursor = request->first;
	loop.idle = 0; /* everything has been silent for 0 ticks */
	loop.export = 0;
	bpf_loop(request->count, sweep_one, &loop, 0);
	return 0;
}

#endif
