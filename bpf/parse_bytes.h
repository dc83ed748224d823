/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What all steps share: octets of a frame in one piece or many, a key in order. Part of parse_slow.h. */
#ifndef TIDEGATE_PARSE_BYTES_H
#define TIDEGATE_PARSE_BYTES_H

enum tg_stage { TG_STAGE_ETHERNET, TG_STAGE_ETHERTYPE, TG_STAGE_PROTOCOL };

/* What a step returns besides 0, go on, and a reason of enum tg_unparsed. */
#define TG_STEP_DONE 100
#define TG_STEP_OTHER 101 /* not a tunnel after all */

/* The octets at an offset, or 0 when fewer than `need` are readable. They are valid until the next call. */
TG_INLINE const tg_u8 *tg_at(const struct tg_frame *frame, tg_u32 offset, tg_u32 need)
{
	const tg_u8 *p;

	if (offset > TG_MAX_OFFSET)
		return 0;
#ifdef __bpf__
	if (frame->xdp)
		return bpf_xdp_load_bytes(frame->xdp, offset, frame->window, need) ? 0 : frame->window;
	if (frame->skb)
		return bpf_skb_load_bytes(frame->skb, offset, frame->window, need) ? 0 : frame->window;
#endif
	p = frame->data + offset;
	if (p + need > frame->data_end)
		return 0;
	return p;
}

TG_INLINE void tg_copy16(volatile tg_u8 *to, const tg_u8 *from)
{
	volatile tg_u64_alias *words = (volatile tg_u64_alias *)to;

	words[0] = ((const tg_u64_unaligned *)from)[0];
	words[1] = ((const tg_u64_unaligned *)from)[1];
}

TG_INLINE void tg_map_ipv4(volatile tg_u8 *to, const tg_u8 *from)
{
	volatile tg_u64_alias *words = (volatile tg_u64_alias *)to;

	words[0] = 0;
	words[1] = (tg_u64) * (const tg_u32_unaligned *)from << 32 | 0xffff0000;
}

/* Puts addresses and ports in canonical order. */
TG_INLINE void tg_canonical(struct tg_packet *packet, tg_u16 sport, tg_u16 dport)
{
	const tg_u64_alias *s = (const tg_u64_alias *)packet->source,
			   *d = (const tg_u64_alias *)packet->destination;
	tg_u64_alias *key = (tg_u64_alias *)&packet->key;
	tg_u64 s0 = TG_BE64(s[0]), s1 = TG_BE64(s[1]), d0 = TG_BE64(d[0]), d1 = TG_BE64(d[1]);
	int upper = s0 != d0 ? s0 > d0 : s1 != d1 ? s1 > d1 : sport > dport;

	packet->direction = upper;
	key[0] = upper ? d[0] : s[0];
	key[1] = upper ? d[1] : s[1];
	key[2] = upper ? s[0] : d[0];
	key[3] = upper ? s[1] : d[1];
	packet->key.lower_port = upper ? dport : sport;
	packet->key.upper_port = upper ? sport : dport;
}

/* ICMP has no ports: the request's type and code stand on the requester's side, so that an answer is the same
 * flow. */
TG_INLINE void tg_icmp_ports(tg_u8 protocol, tg_u8 type, tg_u8 code, tg_u16 *sport, tg_u16 *dport)
{
	tg_u8 request = 0;

	if (protocol == TG_PROTOCOL_ICMP)
		request = type == 0 ? 8 : type == 14 ? 13 : type == 16 ? 15 : type == 18 ? 17 : 0;
	else
		request = type == 129 ? 128 : 0;
	*sport = request ? 0 : (tg_u16)(type << 8 | code);
	*dport = request ? (tg_u16)(request << 8 | code) : 0;
}

#endif
