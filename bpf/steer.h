/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steering in the XDP program, after metering: a flow's link is chosen once per cache residency and kept in
 * its entry; later packets cost a comparison and the rewritten frame. What cannot be sent from here, because
 * the neighbour is unknown or a queueing discipline must be passed, goes up with a mark, and gateway_steer
 * sends it by the kernel's stack. Whatever is in doubt is passed on unchanged: the routing table then
 * decides.
 *
 * Included by gateway.bpf.c; the layouts and the make-before-break that goes with this are in steer_abi.h.
 */
#ifndef TIDEGATE_STEER_H
#define TIDEGATE_STEER_H

#include "steer_abi.h"

#define TG_AF_INET 2
#define TG_AF_INET6 10
#define TG_ETHER_OCTETS 14
#define TG_MAC_MASK 0x0000ffffffffffffull

/* A section of its own is a map of its own, which is pinned like the others. */
struct tg_steer_tables steer_tables SEC(".data.steer");

/* The loader gives the maps from here on their sizes when steering is wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_block);
} steer_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * TG_STEER_RULES);
	__type(key, struct tg_steer_ipv6_key);
	__type(value, tg_u32); /* group */
} steer_ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_group);
} steer_groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_rule);
} steer_rules SEC(".maps");

/* By a flow's hash: the link that it stays on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, tg_u64);
	__type(value, tg_u32);
} steer_pins SEC(".maps");

/* A bit for each pin: most flows of a bucket with pins have none and need not look. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, tg_u64);
} steer_filter SEC(".maps");

/* By link number, never 0: key 0 would undo the mark of kernel_clock.h. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, TG_STEER_LINKS);
	__type(key, tg_u32);
	__type(value, tg_u32);
} steer_devices SEC(".maps");

static __always_inline struct tg_cpu_state *steer_state(void)
{
	tg_u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpu_states, &cpu);
}

/* The group of the longest prefix of an address; 0 none. */
static __always_inline tg_u32 steer_group_of(tg_u32 copy, const tg_u8 *address, int ipv4)
{
	if (ipv4) {
		tg_u32 first = copy * TG_STEER_BLOCKS, index = first + address[12];
		struct tg_steer_block *block = bpf_map_lookup_elem(&steer_blocks, &index);
		tg_u32 at, i;

		at = block ? block->at[address[13]] : 0;
		TG_UNROLL
		for (i = 14; i < 16; i++) {
			if (!(at & TG_STEER_DEEPER))
				return at;
			index = first + (at & ~TG_STEER_DEEPER);
			block = bpf_map_lookup_elem(&steer_blocks, &index);
			at = block ? block->at[address[i]] : 0;
		}
		return at & TG_STEER_DEEPER ? 0 : at;
	}
	if (steer_tables.control.has_ipv6) {
		struct tg_steer_ipv6_key key = {.prefix_length = 32 + 128, .copy = copy};
		tg_u32 *group;

		__builtin_memcpy(key.address, address, 16);
		group = bpf_map_lookup_elem(&steer_ipv6, &key);
		return group ? *group : 0;
	}
	return 0;
}

/* The rule of one endpoint of a flow; 0 none. */
static __always_inline tg_u32 steer_rule_of(tg_u32 copy, const tg_u8 *address, int ipv4, tg_u8 protocol,
					    tg_u16 port)
{
	tg_u32 number = steer_group_of(copy, address, ipv4), base = copy * TG_STEER_GROUPS;
	tg_u32 link, i;

	for (link = 0; link < TG_STEER_GROUP_CHAIN && number; link++) {
		tg_u32 at = base + number;
		struct tg_steer_group *group = bpf_map_lookup_elem(&steer_groups, &at);

		if (!group)
			return 0;
		for (i = 0; i < TG_STEER_GROUP_ENTRIES; i++) {
			struct tg_steer_entry *entry = &group->entries[i];

			if (i >= group->count)
				break;
			if ((entry->port == 0 || entry->port == port) &&
			    (entry->protocol == 0 || entry->protocol == protocol))
				return entry->rule;
		}
		number = group->next;
	}
	return 0;
}

/* Remembers that a flow is on a link, for when its bucket no longer says so. */
static __always_inline void steer_learn(tg_u64 hash, tg_u32 link)
{
	struct tg_cpu_state *state = steer_state();
	tg_u32 bit = TG_STEER_FILTER_BIT(hash), word = bit / 64;
	tg_u64 *filter = bpf_map_lookup_elem(&steer_filter, &word);
	long status = bpf_map_update_elem(&steer_pins, &hash, &link, BPF_NOEXIST);

	if (filter)
		__sync_fetch_and_or(filter, 1ull << (bit & 63));
	if (!state)
		return;
	if (status == 0)
		state->steer.learned++;
	else if (status != -17 /* EEXIST: another CPU, or an earlier residency, did */)
		state->steer.unlearned++;
}

/* The link that a flow is pinned to, or that of its bucket; a flow that is met for the first time may learn
 * it. */
static __attribute__((noinline)) int steer_pinned(const struct tg_flow_key *key, tg_u32 bucket)
{
	tg_u32 bit, word, link = bucket & TG_BUCKET_LINK, *pin;
	tg_u64 hash, *filter;

	if (!key)
		return 0;
	hash = tg_hash(key, settings.secret);
	bit = TG_STEER_FILTER_BIT(hash);
	word = bit / 64;
	filter = bpf_map_lookup_elem(&steer_filter, &word);
	if ((bucket & TG_BUCKET_LEARN) || (filter && (*filter >> (bit & 63) & 1))) {
		pin = bpf_map_lookup_elem(&steer_pins, &hash);
		if (pin)
			return (int)(*pin & TG_STEERED_LINK);
		if (bucket & TG_BUCKET_LEARN)
			steer_learn(hash, link);
	}
	return (int)link;
}

/* Chooses the link of a flow that has no choice of this generation. One that had a choice before keeps its
 * link. */
static __attribute__((noinline)) int steer_choose(const struct tg_packet *packet,
						  struct tg_steer_choice *choice, tg_u32 ifindex)
{
	tg_u32 rule = 0, side, link, generation, bucket, copy;
	const struct tg_flow_key *key;
	struct tg_steer_rule *r;
	int ipv4;

	if (!packet || !choice)
		return 0;
	/* Before anything that it stands for is read. */
	generation = *(volatile tg_u32 *)&steer_tables.control.generation & 0xff;
	copy = *(volatile tg_u32 *)&steer_tables.control.copy & 1;
	key = &packet->key;
	ipv4 = key->kind == TG_KIND_IPV4;
	side = key->lower_port > key->upper_port;
	if ((ipv4 || key->kind == TG_KIND_IPV6) && !(key->vlan | key->tunnel_kind)) {
		/* The endpoint with the smaller port is the service more often; both ways round give the
		 * same. */
		rule = side ? steer_rule_of(copy, key->upper_address, ipv4, key->protocol, key->upper_port)
			    : steer_rule_of(copy, key->lower_address, ipv4, key->protocol, key->lower_port);
		if (!rule) {
			side = !side;
			rule = side ? steer_rule_of(copy, key->upper_address, ipv4, key->protocol,
						    key->upper_port)
				    : steer_rule_of(copy, key->lower_address, ipv4, key->protocol,
						    key->lower_port);
		}
	}
	r = rule ? bpf_map_lookup_elem(&steer_rules, &rule) : 0;
	if (!r) {
		/* Without a rule, also one that is gone, the routing table has the flow. */
		choice->rule = 0;
		choice->link = 0;
		choice->generation = (tg_u8)generation;
		return 0;
	}
	bucket = *(volatile tg_u8 *)&r->buckets[TG_STEER_BUCKET_OF_TAG(choice->tag)];
	link = bucket & TG_BUCKET_LINK;
	if (choice->generation && !r->hard) {
		link = choice->link & TG_STEERED_LINK;
		if (bucket & TG_BUCKET_LEARN)
			steer_learn(tg_hash(key, settings.secret), link);
	} else if (bucket & (TG_BUCKET_LEARN | TG_BUCKET_PINNED)) {
		link = (tg_u32)steer_pinned(key, bucket);
	}
	choice->rule = (tg_u16)rule;
	choice->generation = (tg_u8)generation;
	if (!link)
		choice->link = 0;
	else if (r->kind == TG_STEER_PLACEMENT)
		choice->link = link | (side ? TG_STEERED_UP : TG_STEERED_DOWN);
	else if ((packet->direction & 1) != !!steer_tables.ingress[ifindex % TG_INTERFACE_SLOTS].outside)
		choice->link = link | TG_STEERED_DOWN;
	else
		choice->link = link | TG_STEERED_UP;
	return 0;
}

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
static __attribute__((noinline)) int steer_other(struct xdp_md *context, struct tg_steer_choice *choice,
						 int family)
{
	struct tg_cpu_state *state = steer_state();
	struct tg_steer_rule *r;
	tg_u32 rule, i;

	if (!choice || !state)
		return 0;
	rule = choice->rule;
	r = bpf_map_lookup_elem(&steer_rules, &rule);
	if (!r)
		return 0;
	for (i = 1; i <= 16; i++) {
		/* 1021 is prime: sixteen buckets all over the table. */
		tg_u32 at = (TG_STEER_BUCKET_OF_TAG(choice->tag) + i * 1021) & (TG_STEER_BUCKETS - 1);
		tg_u32 number = r->buckets[at] & TG_BUCKET_LINK;
		struct tg_steer_link *link = &steer_tables.links[number];

		if (!number)
			continue;
		if (link->checked != state->jiffies)
			steer_resolve(context, number, state->jiffies);
		if (link->state[family & 1] != TG_LINK_DOWN) {
			choice->link = (choice->link & ~TG_STEERED_LINK) | number;
			state->steer.drained++;
			return (int)number;
		}
	}
	state->steer.stranded++;
	return 0;
}

/* Hands a frame to gateway_steer with the number of its link. */
static __attribute__((noinline)) int steer_defer(struct xdp_md *context, tg_u32 number)
{
	struct tg_cpu_state *state = steer_state();
	struct tg_steer_mark *mark;

	if (bpf_xdp_adjust_meta(context, -(int)sizeof(*mark)))
		return XDP_PASS;
	mark = (void *)(long)context->data_meta;
	if ((void *)(mark + 1) > (void *)(long)context->data)
		return XDP_PASS;
	mark->magic = TG_STEER_MAGIC;
	mark->link = number;
	if (state)
		state->steer.deferred++;
	return XDP_PASS;
}

/* One hop less to live; the checksum follows (RFC 1624, with the one-octet case of RFC 1141). */
static __always_inline void steer_age(tg_u8 *ip, int ipv4)
{
	if (ipv4) {
		tg_u16 *checksum = (tg_u16 *)(ip + 10);
		tg_u32 sum = (tg_u32)*checksum + 0x0001; /* 0x0100 in network order */

		*checksum = (tg_u16)(sum + (sum >= 0xffff));
		ip[8]--;
	} else {
		ip[7]--;
	}
}

/*
 * Decides where a packet goes. `e` is its flow's entry, or 0 when the packet was not metered by one of its
 * own. Called only where steering was asked for when the program was loaded; with nothing to steer it costs
 * one load. A global function: the verifier looks at it once, not once for every way in which a packet was
 * metered.
 */
__attribute__((noinline)) int steer(struct xdp_md *context, const struct tg_packet *packet,
				    struct tg_delta *e)
{
	const struct tg_steer_control *control = &steer_tables.control;
	const struct tg_steer_ingress *ingress =
	    &steer_tables.ingress[context->ingress_ifindex % TG_INTERFACE_SLOTS];
	struct tg_steer_choice choice = {};
	struct tg_steer_link *link;
	struct tg_cpu_state *state;
	tg_u8 *data, *end, taken;
	tg_u32 number;
	tg_u64 *words;
	int family;

	if (!packet || !control->generation)
		return XDP_PASS;
	if (!e || e->reason != (tg_u8)control->generation) {
		if (e) {
			choice.tag = e->tag;
			choice.link = e->link;
			choice.generation = e->reason;
		} else {
			choice.tag = (tg_u32)(tg_hash(&packet->key, settings.secret) >> 32) | 1;
		}
		steer_choose(packet, &choice, context->ingress_ifindex);
		if (e) {
			e->rule = choice.rule;
			e->link = choice.link;
			e->reason = choice.generation;
		}
		taken = choice.link;
	} else {
		taken = e->link;
	}
	if (!(taken & (packet->direction & 1 ? TG_STEERED_DOWN : TG_STEERED_UP)))
		return XDP_PASS;
	state = steer_state();
	if (!state)
		return XDP_PASS;
	if (control->deadman_ns && state->now_ns > control->heartbeat_ns &&
	    state->now_ns - control->heartbeat_ns > control->deadman_ns) {
		state->steer.asleep++;
		return XDP_PASS;
	}
	number = taken & TG_STEERED_LINK;
	link = &steer_tables.links[number];
	family = packet->key.kind == TG_KIND_IPV6;
	if (link->checked != state->jiffies)
		steer_resolve(context, number, state->jiffies);
	if (link->state[family] == TG_LINK_DOWN) {
		if (e) {
			choice.tag = e->tag;
			choice.rule = e->rule;
			choice.link = e->link;
		}
		number = (tg_u32)steer_other(context, &choice, family) & TG_STEERED_LINK;
		if (!number)
			return XDP_PASS;
		if (e)
			e->link = choice.link;
		link = &steer_tables.links[number];
	}
	data = (tg_u8 *)(long)context->data;
	end = (tg_u8 *)(long)context->data_end;
	if (data + TG_ETHER_OCTETS + 20 > end || (family && data + TG_ETHER_OCTETS + 40 > end))
		return XDP_PASS;
	words = (tg_u64 *)data;
	/* Only what is addressed to this interface: never what a mirror or a bridge shows us, nor broadcasts.
	 */
	if (ingress->ifindex != context->ingress_ifindex || (words[0] & TG_MAC_MASK) != ingress->mac)
		return XDP_PASS;
	if (*(tg_u16 *)(data + 12) != (family ? TG_BE16(TG_ETHERTYPE_IPV6) : TG_BE16(TG_ETHERTYPE_IPV4)))
		return XDP_PASS;
	/* What must be answered by ICMP, and options that routers look at, are the stack's. */
	if (packet->ttl <= 1 || (!family && data[14] != 0x45) || packet->octets > link->mtu[family])
		return XDP_PASS;
	/* A frame in several buffers is the stack's too: not every NIC sends such a one from XDP. */
	if (link->state[family] == TG_LINK_DEFERRED || (tg_u32)(end - data) < packet->octets)
		return steer_defer(context, number);
	steer_age(data + TG_ETHER_OCTETS, !family);
	words[0] = link->mac[family][1] | link->mac[family][0] << 48;
	*(tg_u32 *)(data + 8) = (tg_u32)(link->mac[family][0] >> 16);
	state->steer.redirected++;
	/* An interface that vanished is in no devmap any more: then the routing table decides, one hop short.
	 */
	return (int)bpf_redirect_map(&steer_devices, number, XDP_PASS);
}

/* On ingress of each interface, behind XDP: sends what XDP could only mark. */
SEC("tc")
int gateway_steer(struct __sk_buff *skb)
{
	struct tg_steer_mark *mark = (void *)(long)skb->data_meta;
	tg_u8 *data = (tg_u8 *)(long)skb->data, *end = (tg_u8 *)(long)skb->data_end;
	struct bpf_redir_neigh hop = {};
	const struct tg_steer_link *link;
	int ipv4;

	if ((tg_u8 *)(mark + 1) > data || mark->magic != TG_STEER_MAGIC)
		return -1; /* TCX_NEXT: not ours */
	link = &steer_tables.links[mark->link & TG_STEERED_LINK];
	mark->magic = 0;
	if (data + TG_ETHER_OCTETS + 20 > end)
		return -1;
	ipv4 = data[12] == 0x08;
	if (ipv4) {
		hop.nh_family = TG_AF_INET;
		hop.ipv4_nh = link->next_hop_ipv4;
	} else {
		hop.nh_family = TG_AF_INET6;
		__builtin_memcpy(hop.ipv6_nh, link->next_hop_ipv6, 16);
	}
	steer_age(data + TG_ETHER_OCTETS, ipv4);
	return (int)bpf_redirect_neigh(link->ifindex, &hop, sizeof(hop), 0);
}

#endif
