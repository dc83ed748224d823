/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow cache: a small set-associative table owned by one CPU (no lock, no atomics) that gives away
 * additive deltas. A packet hits its entry, or takes a free slot of its set, or makes the longest silent
 * entry of the set leave. The includer says where entries live and where deltas go, before including this
 * file:
 *
 *   struct tg_cache { ... };
 *   static struct tg_delta *tg_cache_entry(struct tg_cache *cache, tg_u32 index);   // 0 only if impossible
 *   static void tg_cache_export(struct tg_cache *cache, struct tg_delta *entry, tg_u8 reason);
 *
 * tg_cache_export must copy the entry; the cache then frees it or starts its next part.
 */
#ifndef TIDEGATE_FLOW_CACHE_H
#define TIDEGATE_FLOW_CACHE_H

#include "flow_residency.h"

#define TG_WAYS 4

/* The greater one of two numbers below 2^63; never a branch. */
TG_INLINE tg_u64 tg_greater(tg_u64 a, tg_u64 b)
{
	tg_u64 difference = b - a, above = tg_above(b, a);

	TG_OPAQUE(above);
	return a + (difference & -above);
}

/*
 * How much an entry wants to leave, with the number of its way in the lowest bits: a free one most of all,
 * then the one that was silent for longest. No branches: which one it is cannot be predicted.
 */
TG_INLINE tg_u64 tg_eagerness(const struct tg_delta *e, tg_u32 way, tg_u32 now)
{
	/* 2^32 less the ages: the greater one is the younger. tg_begin() sets the time of both directions. */
	tg_u64 youth = tg_greater((1ull << 32) - (tg_u32)(now - e->last_tick[0]),
				  (1ull << 32) - (tg_u32)(now - e->last_tick[1]));
	tg_u64 tag = e->tag;

	TG_OPAQUE(tag);
	return ((tag - 1) >> 63) << 40 | ((1ull << 32) - youth) << 2 | (TG_WAYS - 1 - way);
}

/*
 * Finds the entry of a packet's flow, or begins one in a free slot of its set or in that of the flow that was
 * silent for longest (*fresh = 1). 0 if the table could not be read: never in a correct set-up; the caller
 * counts it.
 */
TG_INLINE struct tg_delta *tg_cache_find(struct tg_cache *cache, const struct tg_packet *packet, tg_u32 now,
					 const volatile struct tg_cache_settings *settings,
					 struct tg_counters *counters, int *fresh)
{
	tg_u64 hash = tg_hash(&packet->key, settings->secret);
	tg_u32 tag = (tg_u32)(hash >> 32) | 1, set = (tg_u32)hash & settings->mask & ~(TG_WAYS - 1);
	tg_u64 most_eager = 0;
	struct tg_delta *e;
	tg_u32 i;

	*fresh = 0;
	TG_UNROLL
	for (i = 0; i < TG_WAYS; i++) {
		e = tg_cache_entry(cache, set | i);
		if (!e)
			return 0;
		if (e->tag == tag && tg_key_equal(&e->key, &packet->key))
			return e;
		most_eager = tg_greater(most_eager, tg_eagerness(e, i, now));
	}
	e = tg_cache_entry(cache, set | (TG_WAYS - 1 - (most_eager & (TG_WAYS - 1))));
	if (!e)
		return 0;
	if (e->tag) {
		counters->evictions++;
		tg_release(cache, e, TG_REASON_EVICT);
	}
	tg_begin(e, tag, packet, now, counters);
	*fresh = 1;
	return e;
}

/* Meters one packet. Returns its entry, or 0 like tg_cache_find. */
TG_INLINE struct tg_delta *tg_cache_update(struct tg_cache *cache, const struct tg_packet *packet, tg_u32 now,
					   tg_u32 ifindex, const volatile struct tg_cache_settings *settings,
					   struct tg_counters *counters)
{
	int fresh;
	struct tg_delta *e = tg_cache_find(cache, packet, now, settings, counters, &fresh);

	if (e && fresh)
		tg_apply(e, packet, now, ifindex, settings, 1);
	else if (e)
		tg_add(cache, e, packet, now, ifindex, settings, settings->export_ticks, counters);
	return e;
}

/* Reduces a key to what all flows of a pair of prefixes share: IPv4 /16, IPv6 /32, the protocol and the tags
 * of the link. */
TG_INLINE void tg_fold_key(struct tg_flow_key *key)
{
	tg_u64_alias *words = (tg_u64_alias *)key;

	if (key->kind == TG_KIND_IPV6) {
		words[0] &= 0xffffffff;
		words[2] &= 0xffffffff;
		words[1] = words[3] = 0;
	} else {
		words[1] &= 0x0000ffffffffffff;
		words[3] &= 0x0000ffffffffffff;
	}
	key->lower_port = key->upper_port = 0;
}

/* Sweeps one slot: an entry silent for idle_ticks leaves. Only from where no packet can be metered meanwhile.
 */
TG_INLINE void tg_sweep(struct tg_cache *cache, tg_u32 index, tg_u32 now, tg_u32 idle_ticks,
			tg_u32 export_ticks, struct tg_counters *counters)
{
	struct tg_delta *e = tg_cache_entry(cache, index);

	if (!e || !e->tag)
		return;
	if (now - tg_last_tick(e, now) >= idle_ticks) {
		counters->idle_exports++;
		tg_release(cache, e, TG_REASON_IDLE);
	} else if (now - e->entry_tick >= export_ticks && (e->packets[0] | e->packets[1])) {
		counters->aged++;
		tg_continue(cache, e, TG_REASON_AGE, now);
	}
}

#endif
