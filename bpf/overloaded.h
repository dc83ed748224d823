/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Metering while the reader cannot keep up. */
#ifndef TIDEGATE_OVERLOADED_H
#define TIDEGATE_OVERLOADED_H

#include "flow_cache.h"

/*
 * Adds a packet to its flow while the reader cannot keep up (struct tg_overload). Whatever happens, the flow
 * has an entry, because steering keeps its decision there. A global function: verified once.
 */
__attribute__((noinline)) int count_overloaded(struct tg_packet *packet, struct tg_delta *e, tg_u32 cpu,
					       tg_u32 ifindex, int fresh)
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

#endif
