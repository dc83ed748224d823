/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where flow_cache.h finds its entries and gives its deltas: this CPU's part of the cache, and its ring. */
#ifndef TIDEGATE_EXPORT_H
#define TIDEGATE_EXPORT_H

#include "gateway_maps.h"

struct tg_cache {
	tg_u32 base; /* index of this CPU's first entry */
	tg_u32 cpu;
};

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

#endif
