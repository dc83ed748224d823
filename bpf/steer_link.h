/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The state of links, and what a flow does whose link is down. */
#ifndef TIDEGATE_STEER_LINK_H
#define TIDEGATE_STEER_LINK_H

#include "steer_maps.h"

#define TG_AF_INET 2
#define TG_AF_INET6 10

/* Looks up whether a link has a route and a neighbour, for one address family. */
static __always_inline void steer_look_up(struct xdp_md *context, struct tg_steer_link *link, int family)
{
	struct bpf_fib_lookup fib = {.ifindex = link->ifindex};
	tg_u32 mtu = 0;
	tg_u64 mac = 0;
	long found;

	if (family == 0) {
		fib.family = TG_AF_INET;
		fib.ipv4_dst = link->next_hop_ipv4;
		if (!link->next_hop_ipv4) {
			link->state[0] = TG_LINK_DOWN;
			return;
		}
	} else {
		fib.family = TG_AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, link->next_hop_ipv6, 16);
		if (!(fib.ipv6_dst[0] | fib.ipv6_dst[1] | fib.ipv6_dst[2] | fib.ipv6_dst[3])) {
			link->state[1] = TG_LINK_DOWN;
			return;
		}
	}
	found = bpf_fib_lookup(context, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT);
	if (found == BPF_FIB_LKUP_RET_SUCCESS && fib.ifindex == link->ifindex) {
		__builtin_memcpy(&mac, fib.smac, 6);
		link->mac[family][0] = mac;
		__builtin_memcpy(&mac, fib.dmac, 6);
		link->mac[family][1] = mac;
		link->mtu[family] = fib.mtu_result;
		link->state[family] = link->via_stack ? TG_LINK_DEFERRED : TG_LINK_READY;
	} else if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
		bpf_check_mtu(context, link->ifindex, &mtu, 0, 0);
		link->mtu[family] = mtu;
		link->state[family] = TG_LINK_DEFERRED;
	} else {
		link->state[family] = TG_LINK_DOWN;
	}
}

/* Once in a jiffy and link: a link that lost its route is found so within a few ms, at no cost per packet. */
static __attribute__((noinline)) int steer_resolve(struct xdp_md *context, tg_u32 number, tg_u64 jiffies)
{
	struct tg_steer_link *link = &steer_tables.links[number & TG_STEERED_LINK];

	link->checked = jiffies;
	if (link->fixed)
		return 0;
	if (link->drained || !link->ifindex) {
		link->state[0] = link->state[1] = TG_LINK_DOWN;
		return 0;
	}
	steer_look_up(context, link, 0);
	steer_look_up(context, link, 1);
	return 0;
}

/* Another link for a flow whose own is down: the next bucket of the rule with one that is up; 0 none. */
static __attribute__((noinline)) tg_u32 steer_other(struct xdp_md *context, tg_u32 tag, tg_u32 rule,
						    int family)
{
	struct tg_cpu_state *state = this_cpu_state();
	struct tg_steer_rule *r = bpf_map_lookup_elem(&steer_rules, &rule);
	tg_u32 i;

	if (!state || !r)
		return 0;
	for (i = 1; i <= 16; i++) {
		/* 1021 is prime: sixteen buckets all over the table. */
		tg_u32 at = (TG_STEER_BUCKET_OF_TAG(tag) + i * 1021) & (TG_STEER_BUCKETS - 1);
		tg_u32 number = r->buckets[at] & TG_BUCKET_LINK;
		struct tg_steer_link *link = &steer_tables.links[number];

		if (!number)
			continue;
		if (link->checked != state->jiffies)
			steer_resolve(context, number, state->jiffies);
		if (link->state[family & 1] != TG_LINK_DOWN) {
			state->steer.drained++;
			return number;
		}
	}
	state->steer.stranded++;
	return 0;
}

#endif
