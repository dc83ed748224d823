/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the cache in the kernel and the table in user space both compute from a flow key and a gap. */
#ifndef TIDEGATE_FLOW_KEY_H
#define TIDEGATE_FLOW_KEY_H

#include "flow_abi.h"

#ifdef __bpf__
#define TG_INLINE static __attribute__((always_inline)) inline
#define TG_UNROLL _Pragma("unroll")
#else
#define TG_INLINE static inline
#define TG_UNROLL
#endif

/* Structures are also read and written as words. */
typedef tg_u32 __attribute__((may_alias)) tg_u32_alias;
typedef tg_u64 __attribute__((may_alias)) tg_u64_alias;

/*
 * Keyed universal hash of a flow key: NH of UMAC (RFC 4418 section 5.2.2) over six pairs of 32-bit words,
 * then a multiplicative finaliser. An attacker who does not know the secret cannot aim at one set.
 */
TG_INLINE tg_u64 tg_hash(const struct tg_flow_key *key, const volatile tg_u32 *secret)
{
	const tg_u32_alias *w = (const tg_u32_alias *)key;
	tg_u64 h = 0;
	int i;

	TG_UNROLL
	for (i = 0; i < 6; i++)
		h += (tg_u64)(tg_u32)(w[2 * i] + secret[2 * i]) * (tg_u32)(w[2 * i + 1] + secret[2 * i + 1]);
	h ^= h >> 32;
	h *= ((tg_u64)secret[12] << 32 | secret[11]) | 1;
	h ^= h >> 29;
	return h;
}

/* Keeps the compiler from knowing what a number is: clang's BPF back end makes branches of what it knows. */
#define TG_OPAQUE(number) asm volatile("" : "+r"(number))

/* 1 when a number below 2^63 is greater than a limit, else 0; never a branch. */
TG_INLINE tg_u64 tg_above(tg_u64 number, tg_u64 limit)
{
	tg_u64 difference = limit - number;

	TG_OPAQUE(difference);
	return difference >> 63;
}

/* floor(log2(ticks)) capped to 15, 0 for gaps below 2 ticks. BPF has no count-leading-zeros, and which bin a
 * gap falls into cannot be predicted. */
TG_INLINE tg_u8 tg_iat_bin(tg_u32 ticks)
{
	tg_u64 v = ticks > 0xffff ? 0xffff : ticks;
#ifdef __bpf__
	tg_u64 r, shift;

	r = tg_above(v, 0xff) << 3;
	v >>= r;
	shift = tg_above(v, 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = tg_above(v, 0x3) << 1;
	v >>= shift;
	r |= shift;
	return (tg_u8)(r | (v >> 1));
#else
	return (tg_u8)(63 - __builtin_clzll(v | 1));
#endif
}

TG_INLINE int tg_key_equal(const struct tg_flow_key *a, const struct tg_flow_key *b)
{
	const tg_u64_alias *x = (const tg_u64_alias *)a, *y = (const tg_u64_alias *)b;

	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) |
		(x[5] ^ y[5])) == 0;
}

#endif
