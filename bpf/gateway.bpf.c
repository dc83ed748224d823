/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel side of the meter.
 *   1. gateway_xdp parses each packet and adds it to this CPU's flow cache; the packet goes on to the stack,
 * or by the link that steering (steer.h) gave its flow.
 *   2. What leaves the cache is a delta record on this CPU's own ring buffer.
 *   3. gateway_egress does the same for what this host itself sends (egress.h).
 *   4. A timer pinned to each CPU makes silent entries leave; gateway_flush makes all of them leave.
 * XDP, tc programs and pinned timers all run with bottom halves disabled, so on one CPU they never interrupt
 * each other: nobody else writes this CPU's entries (not true on PREEMPT_RT, which the loader refuses). Every
 * packet ends in exactly one kind_* counter, and rx_packets = exported + ring_lost
 * + sampled_out + resident.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "flow_abi.h"
#include "fragments.h"
#include "kernel_clock.h"

#define CLOCK_MONOTONIC 1
#ifndef BPF_F_TIMER_CPU_PIN
#define BPF_F_TIMER_CPU_PIN (1ULL << 1)
#endif

struct tg_cache {
	tg_u32 base; /* index of this CPU's first entry */
	tg_u32 cpu;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096); /* CPUs x entries, set by the loader */
	__type(key, tg_u32);
	__type(value, struct tg_delta);
} flow_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_counters);
} counters SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TG_INTERFACE_SLOTS); /* CPUs x TG_INTERFACE_SLOTS */
	__type(key, tg_u32);
	__type(value, struct tg_interface_counters);
} interface_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_cpu_state);
} cpu_states SEC(".maps");

/* Not for the programs: it lives here so that it is made, pinned and found again with the other maps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_user_state);
} user_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_reader_state);
} reader_states SEC(".maps");

/* Shared by all CPUs: later fragments have no ports, so RSS puts them elsewhere. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tg_fragment_key);
	__type(value, struct tg_fragment_ports);
} fragments SEC(".maps");

struct sweep_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct sweep_timer);
} sweep_timers SEC(".maps");

const volatile struct tg_cache_settings settings = {.mask = 4095, .export_ticks = 1 << 20};
const volatile tg_u32 idle_ticks = 1 << 20;
const volatile tg_u64 sweep_period_ns = 20000000;
const volatile tg_u32 sweep_slice = 512;
const volatile tg_u32 sweep_per_batch = 8;
const volatile tg_u32 clock_packets =
    16; /* the clock is read once in so many packets of a batch; 1 = always */
const volatile tg_u32 ring_bytes = 4096;
const volatile tg_u32 steering = 0; /* without it the verifier removes all that steering adds */

/* What the parser is told, a constant for the verifier: what is switched off costs nothing. */
#define TG_PARSE_OPTIONS (settings.tunnels | (settings.heads ? TG_PARSE_SEQUENCE : 0))

/* What a delta record occupies in a ring: its header and itself. */
#define RING_RECORD_BYTES (BPF_RINGBUF_HDR_SZ + sizeof(struct tg_delta))
/* The reader polls; it is woken early when a ring fills, which is looked at once in this many records. */
#define WAKE_CHECK_RECORDS 32

static __always_inline struct tg_delta *tg_cache_entry(struct tg_cache *cache, tg_u32 index)
{
	tg_u32 at = cache->base + index;

	return bpf_map_lookup_elem(&flow_cache, &at);
}

/* Wakes the reader when another quarter of the ring has filled, and only then: a wake-up is an interrupt. */
static __always_inline tg_u64 wake_flags(void *ring, tg_u32 cpu)
{
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	tg_u32 quarters = (tg_u32)bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) / (ring_bytes / 4);
	tg_u64 flags = BPF_RB_NO_WAKEUP;

	if (state) {
		if (quarters > state->ring_quarters)
			flags = BPF_RB_FORCE_WAKEUP;
		state->ring_quarters = quarters;
	}
	return flags;
}

/* Not inlined: four call sites in the packet path would quadruple the program. */
static __attribute__((noinline)) void export_delta(struct tg_delta *e, tg_u32 cpu, tg_u32 reason)
{
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	tg_u64 packets, octets, wake = BPF_RB_NO_WAKEUP;
	struct tg_delta *record;

	if (!c || !e || !state)
		return;
	packets = (tg_u64)e->packets[0] + e->packets[1];
	octets = (tg_u64)e->octets[0] + e->octets[1];
	record = ring ? bpf_ringbuf_reserve(ring, sizeof(*record), 0) : 0;
	if (!record) {
		c->ring_lost_records++;
		c->ring_lost_packets += packets;
		c->ring_lost_octets += octets;
		return;
	}
	__builtin_memcpy(record, e, sizeof(*record));
	record->tag = (tg_u32)(c->exported_records + c->ring_lost_records);
	record->reason = (tg_u8)reason;
	record->cpu = (tg_u8)cpu;
	record->entry_tick = state->overload.sampling > 1 ? state->overload.sampling : 1;
	if ((c->exported_records & (WAKE_CHECK_RECORDS - 1)) == 0)
		wake = wake_flags(ring, cpu);
	bpf_ringbuf_submit(record, wake);
	c->exported_records++;
	c->exported_packets += packets;
	c->exported_octets += octets;
}

static __always_inline void tg_cache_export(struct tg_cache *cache, struct tg_delta *entry, tg_u8 reason)
{
	export_delta(entry, cache->cpu, reason);
}

#include "flow_cache.h"

#include "payload_head.h"

/* A frame that lies in several buffers, of which only the first can be read in place. */
__attribute__((noinline)) int tg_parse_straddling(struct xdp_md *context, struct tg_packet *packet)
{
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	tg_u64 window[TG_WINDOW_WORDS];
	struct tg_frame frame = {.tunnels = TG_PARSE_OPTIONS, .xdp = context, .window = (tg_u8 *)window};

	if (!packet || !c)
		return 0;
	c->multi_buffer++;
	frame.wire_octets = (tg_u32)bpf_xdp_get_buff_len(context);
	tg_parse_frame(&frame, packet);
	return 0;
}

__attribute__((noinline)) int tg_parse_slow(struct xdp_md *context, struct tg_packet *packet)
{
	struct tg_frame frame = {
	    .data = (const tg_u8 *)(long)context->data,
	    .data_end = (const tg_u8 *)(long)context->data_end,
	    .tunnels = TG_PARSE_OPTIONS,
	};

	if (!packet)
		return 0;
	frame.wire_octets = (tg_u32)bpf_xdp_get_buff_len(context);
	if (frame.wire_octets > (tg_u32)(frame.data_end - frame.data))
		return TG_PARSE_STRADDLES;
	tg_parse_frame(&frame, packet);
	return 0;
}

static __attribute__((noinline)) void follow_fragments(struct tg_packet *packet)
{
	struct tg_fragment_key key;

	tg_fragment_key_of(packet, &key);
	if (packet->fragment == TG_FRAGMENT_FIRST) {
		struct tg_fragment_ports ports = {packet->key.lower_port, packet->key.upper_port};

		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
	} else {
		tg_fragment_complete(packet, bpf_map_lookup_elem(&fragments, &key));
	}
}

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

/*
 * Adds a packet to its flow while the reader cannot keep up (struct tg_overload). Whatever happens, the flow
 * has an entry, because steering keeps its decision there.
 */
static __attribute__((noinline)) int count_overloaded(struct tg_packet *packet, struct tg_delta *e,
						      tg_u32 cpu, tg_u32 ifindex, int fresh)
{
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_cache cache = {.cpu = cpu, .base = cpu * (settings.mask + 1)};
	struct tg_flow_key key;
	tg_u32 now;

	if (!state || !c || !packet || !e)
		return 0;
	now = (tg_u32)(state->now_ns >> TG_TICK_SHIFT);
	if (state->overload.sampling > 1) {
		if (++state->sampled < state->overload.sampling) {
			c->sampled_out_packets++;
			c->sampled_out_octets += packet->octets;
			return 0;
		}
		state->sampled = 0;
	}
	if (state->overload.fold_new && fresh &&
	    (packet->key.kind == TG_KIND_IPV4 || packet->key.kind == TG_KIND_IPV6)) {
		key = packet->key;
		tg_fold_key(&packet->key);
		e = tg_cache_find(&cache, packet, now, &settings, c, &fresh);
		packet->key = key;
		if (!e)
			return 0;
		e->seen |= TG_SEEN_FOLDED;
		c->folded_packets++;
	}
	tg_add(&cache, e, packet, now, ifindex, &settings,
	       settings.export_ticks << (state->overload.timeout_shift & 7), c);
	return 0;
}

#include "steer.h"

/* Adds a parsed packet to its flow. The flow's entry, or 0 when the packet could not be metered. */
static __always_inline struct tg_delta *count_packet(struct tg_packet *packet, tg_u32 cpu, tg_u32 ifindex,
						     struct tg_cpu_state *state, struct tg_counters *c)
{
	struct tg_cache cache = {.cpu = cpu, .base = cpu * (settings.mask + 1)};
	tg_u32 now = (tg_u32)(state->now_ns >> TG_TICK_SHIFT);
	struct tg_delta *entry;
	int fresh;

	tg_count_packet(c, packet);
	entry = tg_cache_find(&cache, packet, now, &settings, c, &fresh);
	if (!entry) {
		c->unmetered_packets++;
		c->unmetered_octets += packet->octets;
	} else if (*(tg_u64 *)&state->overload) {
		count_overloaded(packet, entry, cpu, ifindex, fresh);
	} else {
		tg_add(&cache, entry, packet, now, ifindex, &settings, settings.export_ticks, c);
	}
	return entry;
}

/*
 * Meters one packet, of which *packet tells more than the flow's entry; the entry, or 0 when the packet could
 * not be metered. `vlan_tci` is the tag that the NIC took off the frame, 0 none. The bench runs this same
 * body inside its own program.
 */
static __always_inline struct tg_delta *meter(struct xdp_md *context, struct tg_packet *packet,
					      tg_u16 vlan_tci)
{
	struct tg_frame frame = {
	    .data = (const tg_u8 *)(long)context->data,
	    .data_end = (const tg_u8 *)(long)context->data_end,
	    .tunnels = TG_PARSE_OPTIONS,
	};
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_delta *entry;
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	tg_u32 slot = cpu * TG_INTERFACE_SLOTS + context->ingress_ifindex % TG_INTERFACE_SLOTS;
	struct tg_interface_counters *at = bpf_map_lookup_elem(&interface_counters, &slot);

	if (!c || !at || !state)
		return 0;
	if (tg_clock(state, clock_packets) && sweep_per_batch)
		sweep(state, cpu, sweep_per_batch);
	frame.wire_octets = (tg_u32)(frame.data_end - frame.data);
	tg_parse(context, &frame, packet);
	if (vlan_tci) {
		packet->key.inner_vlan = packet->key.vlan;
		packet->key.vlan = vlan_tci & 0x0fff;
	}
	if (packet->fragment)
		follow_fragments(packet);
	at->packets++;
	at->octets += packet->octets;
	entry = count_packet(packet, cpu, context->ingress_ifindex, state, c);
	if (entry && settings.head_bytes && packet->payload && !state->overload.without_heads)
		keep_head(context, TG_HOOK_XDP, packet, entry);
	if (entry && settings.heads && tg_head_open(entry, packet))
		send_head(context, TG_HOOK_XDP, packet, entry);
	return entry;
}

#ifndef TG_BENCH /* which has programs of its own around the same bodies */
SEC("xdp.frags")
int gateway_xdp(struct xdp_md *context)
{
	struct tg_packet packet;
	struct tg_delta *entry = meter(context, &packet, 0);

	return steering ? steer(context, &packet, entry) : XDP_PASS;
}
#endif

#include "egress.h"

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

/* The licence that the kernel checks; see LICENSE.GPL-2.0 and LICENSE.BSD-2-Clause. */
char gateway_license[] SEC("license") = "Dual BSD/GPL";
