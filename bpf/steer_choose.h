/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which link a flow takes: its rule, its bucket, its pin. */
#ifndef TIDEGATE_STEER_CHOOSE_H
#define TIDEGATE_STEER_CHOOSE_H

#include "steer_maps.h"

/* What was decided about a flow, in one word. */
#define STEER_CHOICE(rule, link, generation) ((rule) | (tg_u32)(link) << 16 | (tg_u32)(generation) << 24)
#define STEER_CHOICE_RULE(choice) ((tg_u16)(choice))
#define STEER_CHOICE_LINK(choice) ((tg_u8)((choice) >> 16))
#define STEER_CHOICE_GENERATION(choice) ((tg_u8)((choice) >> 24))

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

/* The rule of one endpoint of a flow, remembered for the next flow; 0 none. */
static __always_inline tg_u32 steer_rule_at(const struct tg_flow_key *key, tg_u32 upper, tg_u32 version)
{
	const tg_u8 *address = upper ? key->upper_address : key->lower_address;
	const tg_u64 *words = (const tg_u64 *)address;
	tg_u16 port = upper ? key->upper_port : key->lower_port;
	tg_u64 what = (tg_u64)version << 32 | (tg_u32)key->protocol << 16 | port;
	tg_u32 at =
	    (tg_u32)(((words[0] ^ words[1] ^ what) * 0x9e3779b97f4a7c15ull) >> 56) & (TG_STEER_SERVICES - 1);
	struct steer_service *service = bpf_map_lookup_elem(&steer_services, &at);

	if (!service)
		return 0;
	if (service->what != what || service->address[0] != words[0] || service->address[1] != words[1]) {
		service->rule =
		    steer_rule_of(version & 1, address, key->kind == TG_KIND_IPV4, key->protocol, port);
		service->address[0] = words[0];
		service->address[1] = words[1];
		service->what = what;
	}
	return (tg_u32)service->rule;
}

/*
 * The rule of a flow, and STEER_UPPER when its upper endpoint is the one that the rule names; 0 none. The
 * endpoint with the smaller port is the service more often; both ways round give the same.
 */
#define STEER_UPPER 0x80000000u
/* Twice the body would take twice the stack. */
#define TG_NO_UNROLL _Pragma("clang loop unroll(disable)")
static __attribute__((noinline)) tg_u32 steer_rule_for(const struct tg_flow_key *key)
{
	tg_u32 version = *(volatile tg_u32 *)&steer_tables.control.version, upper, rule, i;

	if (!key || (key->kind != TG_KIND_IPV4 && key->kind != TG_KIND_IPV6) || key->vlan || key->tunnel_kind)
		return 0;
	upper = key->lower_port > key->upper_port;
	TG_NO_UNROLL
	for (i = 0; i < 2; i++) {
		rule = steer_rule_at(key, upper, version);
		if (rule)
			return upper ? rule | STEER_UPPER : rule;
		upper = !upper;
	}
	return 0;
}

/* Remembers that a flow is on a link, for when its bucket no longer says so. */
static __always_inline void steer_learn(tg_u64 hash, tg_u32 link)
{
	struct tg_cpu_state *state = this_cpu_state();
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

/*
 * Chooses the link of a flow that has no choice of this generation, by the rule that steer_rule_for()
 * `found`. One that had a choice before keeps its link. `before` and what is returned are a choice in one
 * word, see STEER_CHOICE.
 */
static __attribute__((noinline)) tg_u32 steer_choose(const struct tg_packet *packet, tg_u32 tag,
						     tg_u32 before, tg_u32 found, tg_u32 ifindex)
{
	tg_u32 rule = found & ~STEER_UPPER, link, bucket, up;
	struct tg_steer_rule *r;

	if (!packet || !rule)
		return 0;
	r = bpf_map_lookup_elem(&steer_rules, &rule);
	if (!r)
		return 0;
	bucket = *(volatile tg_u8 *)&r->buckets[TG_STEER_BUCKET_OF_TAG(tag)];
	link = bucket & TG_BUCKET_LINK;
	if (STEER_CHOICE_GENERATION(before) && !r->hard) {
		link = STEER_CHOICE_LINK(before) & TG_STEERED_LINK;
		if (bucket & TG_BUCKET_LEARN)
			steer_learn(tg_hash(&packet->key, settings.secret), link);
	} else if (bucket & (TG_BUCKET_LEARN | TG_BUCKET_PINNED)) {
		link = (tg_u32)steer_pinned(&packet->key, bucket);
	}
	if (!link)
		return STEER_CHOICE(rule, 0, 0);
	up = r->kind == TG_STEER_PLACEMENT
		 ? !!(found & STEER_UPPER)
		 : (packet->direction & 1) == !!steer_tables.ingress[ifindex % TG_INTERFACE_SLOTS].outside;
	return STEER_CHOICE(rule, link | (up ? TG_STEERED_UP : TG_STEERED_DOWN), 0);
}

/* Writes the choice for a flow into its entry. */
static __always_inline void steer_decide(const struct tg_packet *packet, struct tg_delta *e, tg_u32 ifindex)
{
	tg_u32 generation, choice;

	/* Before anything that it stands for is read. */
	generation = *(volatile tg_u32 *)&steer_tables.control.generation;
	choice = steer_choose(packet, e->tag, STEER_CHOICE(e->rule, e->link, e->reason),
			      steer_rule_for(&packet->key), ifindex);
	e->rule = STEER_CHOICE_RULE(choice);
	e->link = STEER_CHOICE_LINK(choice);
	e->reason = (tg_u8)generation;
}

#endif
