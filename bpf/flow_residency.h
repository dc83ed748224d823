/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What happens inside a flow's entry while it is resident: packets are added, parts of the residency are
 * given away by tg_cache_export(), see flow_cache.h, and at last the entry is freed.
 */
#ifndef TIDEGATE_FLOW_RESIDENCY_H
#define TIDEGATE_FLOW_RESIDENCY_H

#include "flow_key.h"
#include "parse.h"

/* A residency part ends before any 8-bit counter can overflow. */
#define TG_MAX_PART_PACKETS 254

/* Every packet ends in exactly one kind. */
TG_INLINE void tg_count_packet(struct tg_counters *counters, const struct tg_packet *packet)
{
	counters->rx_packets++;
	counters->rx_octets += packet->octets;
	switch (packet->key.kind) {
	case TG_KIND_IPV4:
		counters->kind_ipv4++;
		break;
	case TG_KIND_IPV6:
		counters->kind_ipv6++;
		break;
	case TG_KIND_NON_IP:
		counters->kind_non_ip++;
		break;
	case TG_KIND_FRAGMENT:
		counters->kind_fragment++;
		break;
	default:
		counters->kind_unparsed++;
		counters->unparsed[packet->unparsed & 15]++;
	}
}

/* Zeroes everything that a record adds; key, last times, `seen`, SYN state and steering stay. */
TG_INLINE void tg_start_part(struct tg_delta *e, tg_u32 now)
{
	tg_u64_alias *words;

	e->packets[0] = e->packets[1] = 0;
	e->octets[0] = e->octets[1] = 0;
	e->payload_count = 0;
	words = (tg_u64_alias *)e->size_bins;
	words[0] = words[1] = words[2] = words[3] = 0;
	words = (tg_u64_alias *)e->iat_bins;
	words[0] = words[1] = words[2] = words[3] = words[4] = words[5] = words[6] = words[7] = 0;
	e->ttl_min[0] = e->ttl_min[1] = 0xff;
	e->ttl_max[0] = e->ttl_max[1] = 0;
	e->window_min[0] = e->window_min[1] = 0xffff;
	e->window_max[0] = e->window_max[1] = 0;
	e->rtt_tick = 0;
	e->entry_tick = now;
	words = (tg_u64_alias *)e->head;
	words[0] = words[1] = words[2] = words[3] = 0;
}

TG_INLINE tg_u32 tg_last_tick(const struct tg_delta *e, tg_u32 now)
{
	tg_u32 age0 = e->seen & 1 ? now - e->last_tick[0] : 0xffffffff;
	tg_u32 age1 = e->seen & 2 ? now - e->last_tick[1] : 0xffffffff;

	return now - (age0 < age1 ? age0 : age1);
}

/*
 * Adds one packet to its entry. `fresh`, a constant: the entry was begun for this packet. Hits and misses
 * each have their own copy then, without branches that would ask again what cannot be predicted.
 */
TG_INLINE void tg_apply(struct tg_delta *e, const struct tg_packet *packet, tg_u32 now, tg_u32 ifindex,
			const volatile struct tg_cache_settings *settings, int fresh)
{
	tg_u32 d = packet->direction & 1;
	tg_u64_alias *flags = (tg_u64_alias *)e->flag_counts[d];
	tg_u32 lut = packet->octets >> 4;

	if (!fresh && (e->seen & (1 << d)))
		e->iat_bins[d][tg_iat_bin(now - e->last_tick[d]) & 15]++;
	if (fresh || e->packets[d] == 0) {
		e->first_tick[d] = now;
		e->ingress_ifindex[d] = ifindex;
		e->tos[d] = packet->tos;
		if (fresh || (e->packets[0] | e->packets[1]) == 0) {
			if (d)
				e->state |= TG_STATE_FIRST_UPPER;
			else
				e->state &= ~TG_STATE_FIRST_UPPER;
		}
	}
	e->seen |= 1 << d;
	e->last_tick[d] = now;
	e->packets[d]++;
	e->octets[d] += packet->octets;
	e->size_bins[d][settings->size_lut[lut > TG_SIZE_LUT - 1 ? TG_SIZE_LUT - 1 : lut] & 15]++;
	if (packet->ttl < e->ttl_min[d])
		e->ttl_min[d] = packet->ttl;
	if (packet->ttl > e->ttl_max[d])
		e->ttl_max[d] = packet->ttl;
	if (packet->payload && e->payload_count < TG_FIRST_PAYLOADS) {
		tg_s16 size = packet->payload > 0x7fff ? 0x7fff : (tg_s16)packet->payload;

		e->first_payload[e->payload_count & (TG_FIRST_PAYLOADS - 1)] = d ? -size : size;
		e->payload_count++;
	}
	if (!packet->is_tcp)
		return;
	/* One multiply spreads the eight flag bits over eight byte counters. */
	*flags += ((packet->flags & 0x7f) * 0x0002040810204081ull & 0x0101010101010101ull) |
		  (tg_u64)(packet->flags >> 7) << 56;
	if (packet->window < e->window_min[d])
		e->window_min[d] = packet->window;
	if (packet->window > e->window_max[d])
		e->window_max[d] = packet->window;
	if (packet->flags & TG_TCP_SYN) {
		if (packet->mss)
			e->mss[d] = packet->mss;
		if (packet->window_scale)
			e->window_scale[d] = packet->window_scale;
		if (packet->flags & TG_TCP_ACK) {
			e->state |= TG_STATE_SYNACK;
		} else {
			e->state |= d ? TG_STATE_SYN_UPPER : TG_STATE_SYN_LOWER;
			e->syn_tick = now;
		}
	} else if ((e->state & TG_STATE_SYNACK) && !e->rtt_tick && e->syn_tick &&
		   (e->state & (d ? TG_STATE_SYN_UPPER : TG_STATE_SYN_LOWER))) {
		tg_u32 rtt = now - e->syn_tick;

		e->rtt_tick = rtt ? rtt : 1;
		e->syn_tick = 0;
	}
	if (packet->flags & TG_TCP_FIN)
		e->state |= d ? TG_STATE_FIN_UPPER : TG_STATE_FIN_LOWER;
	if (packet->flags & TG_TCP_RST)
		e->state |= TG_STATE_RST;
}

/*
 * Frees an entry after its delta was given away. An entry that was reported as continuing and has had no
 * packet since still sends an (empty) record: user space must learn that the flow's next gap is its own to
 * count.
 */
TG_INLINE void tg_release(struct tg_cache *cache, struct tg_delta *e, tg_u8 reason)
{
	tg_u8 continued = e->state & TG_STATE_CONTINUES;

	e->state &= ~TG_STATE_CONTINUES;
	if ((e->packets[0] | e->packets[1]) || continued)
		tg_cache_export(cache, e, reason);
	e->tag = 0;
	e->packets[0] = e->packets[1] = 0;
}

/* Gives away what an entry holds; the flow stays resident. */
TG_INLINE void tg_continue(struct tg_cache *cache, struct tg_delta *e, tg_u8 reason, tg_u32 now)
{
	e->state |= TG_STATE_CONTINUES;
	tg_cache_export(cache, e, reason);
	tg_start_part(e, now);
}

/* Makes an empty entry the residency of a packet's flow. */
TG_INLINE void tg_begin(struct tg_delta *e, tg_u32 tag, const struct tg_packet *packet, tg_u32 now,
			struct tg_counters *counters)
{
	counters->inserts++;
	e->tag = tag;
	e->last_tick[0] = e->last_tick[1] = now;
	e->key = packet->key;
	e->state = 0;
	e->seen = 0;
	e->link = 0;
	e->rule = 0;
	e->cpu = 0;
	e->reason = 0;
	e->mss[0] = e->mss[1] = 0;
	e->window_scale[0] = e->window_scale[1] = 0;
	e->tos[0] = e->tos[1] = 0;
	e->ingress_ifindex[0] = e->ingress_ifindex[1] = 0;
	e->syn_tick = 0;
	tg_start_part(e, now);
}

/* Adds one packet to its flow's entry, after giving away what would overflow or is due. */
TG_INLINE void tg_add(struct tg_cache *cache, struct tg_delta *e, const struct tg_packet *packet, tg_u32 now,
		      tg_u32 ifindex, const volatile struct tg_cache_settings *settings, tg_u32 export_ticks,
		      struct tg_counters *counters)
{
	if (e->packets[0] + e->packets[1] >= TG_MAX_PART_PACKETS) {
		counters->overflows++;
		tg_continue(cache, e, TG_REASON_OVERFLOW, now);
	} else if (now - e->entry_tick >= export_ticks && (e->packets[0] | e->packets[1])) {
		counters->aged++;
		tg_continue(cache, e, TG_REASON_AGE, now);
	}
	tg_apply(e, packet, now, ifindex, settings, 0);
}

/* Whether payload octets of a direction were kept already. */
TG_INLINE int tg_has_head(const struct tg_delta *e, tg_u32 direction)
{
	const tg_u64_alias *words = (const tg_u64_alias *)e->head[direction & 1];

	return (words[0] | words[1]) != 0;
}

#endif
