/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which link a flow takes: its rule, its bucket, its pin. */
#ifndef TIDEGATE_STEER_CHOOSE_H
#define TIDEGATE_STEER_CHOOSE_H

#include "steer_maps.h"

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

#endif
