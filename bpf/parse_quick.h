/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The quick way through the parser: what nearly every packet is, in one straight line. Whatever else it meets
 * it leaves to parse_slow.h.
 */
#ifndef TIDEGATE_PARSE_QUICK_H
#define TIDEGATE_PARSE_QUICK_H

#include "parse_packet.h"

/* A UDP port behind which a tunnel may be that is to be entered. */
TG_INLINE int tg_is_tunnel_port(tg_u16 port, tg_u32 tunnels)
{
	return ((tunnels & TG_TUNNEL_VXLAN) && port == TG_PORT_VXLAN) ||
	       ((tunnels & TG_TUNNEL_GENEVE) && port == TG_PORT_GENEVE) ||
	       ((tunnels & TG_TUNNEL_GTPU) && port == TG_PORT_GTPU);
}

#define TG_RAW16(x) TG_BE16(x) /* a constant as it lies in a packet */

TG_INLINE int tg_is_vlan(tg_u16 raw)
{
	return raw == TG_RAW16(TG_ETHERTYPE_VLAN) || raw == TG_RAW16(TG_ETHERTYPE_QINQ) ||
	       raw == TG_RAW16(TG_ETHERTYPE_QINQ_OLD);
}

/*
 * The transport header at p, `length` octets of IP payload from there. Returns 0 when it needs the slow way.
 * Canonical order by (address, port), most significant octet first: any flow has one key in both directions.
 */
TG_INLINE int tg_quick_transport(const struct tg_frame *frame, const tg_u8 *p, tg_u8 protocol, tg_u32 length,
				 tg_u16 *sport, tg_u16 *dport, tg_u32 *header, tg_u16 *window, tg_u8 *flags,
				 tg_u32 *sequence)
{
	*sport = *dport = *window = 0;
	*flags = 0;
	*header = 0;
	if (protocol == TG_PROTOCOL_TCP) {
		if (p + 20 > frame->data_end)
			return 0;
		*header = (p[12] >> 4) * 4;
		*flags = p[13];
		if (*header < 20 || *header > length || (*flags & TG_TCP_SYN))
			return 0;
		*window = tg_load16(p + 14);
		if (frame->tunnels & TG_PARSE_SEQUENCE)
			*sequence = tg_load32(p + 4);
	} else if (protocol == TG_PROTOCOL_UDP) {
		if (p + 8 > frame->data_end || length < 8)
			return 0;
		*header = 8;
	} else {
		return protocol == TG_PROTOCOL_ESP;
	}
	*sport = tg_load16(p);
	*dport = tg_load16(p + 2);
	return protocol != TG_PROTOCOL_UDP || !tg_is_tunnel_port(*dport, frame->tunnels);
}

/* Returns 0 when the frame needs the slow way; what it wrote until then does not matter. */
TG_INLINE int tg_parse_quick(const struct tg_frame *frame, struct tg_packet *packet)
{
	tg_u64_alias *key = (tg_u64_alias *)&packet->key;
	const tg_u8 *p = frame->data, *end = frame->data_end;
	tg_u32 offset = 14, total, header;
	tg_u16 type, vlan = 0, inner = 0, sport, dport, window;
	tg_u8 protocol, flags, direction;

	if (p + 14 > end)
		return 0;
	type = *(const tg_u16_unaligned *)(p + 12);
	if (tg_is_vlan(type)) {
		if (p + 18 > end)
			return 0;
		vlan = tg_load16(p + 14) & 0x0fff;
		type = *(const tg_u16_unaligned *)(p + 16);
		offset = 18;
		if (tg_is_vlan(type)) {
			if (p + 22 > end)
				return 0;
			inner = tg_load16(p + 18) & 0x0fff;
			type = *(const tg_u16_unaligned *)(p + 20);
			offset = 22;
		}
	}
	p += offset;
	if (type == TG_RAW16(TG_ETHERTYPE_IPV4)) {
		tg_u64 source, destination, swap;

		if (p + 20 > end || p[0] != 0x45 || (*(const tg_u16_unaligned *)(p + 6) & TG_RAW16(0x3fff)))
			return 0;
		total = tg_load16(p + 2);
		if (total < 20 || total + offset > frame->wire_octets)
			return 0;
		protocol = p[9];
		if (!tg_quick_transport(frame, p + 20, protocol, total - 20, &sport, &dport, &header, &window,
					&flags, &packet->sequence))
			return 0;
		source = *(const tg_u32_unaligned *)(p + 12);
		destination = *(const tg_u32_unaligned *)(p + 16);
		/* (address, port) as one number; the sign of the difference is the direction. */
		direction = (tg_u8)((((tg_u64)TG_BE32((tg_u32)destination) << 16 | dport) -
				     ((tg_u64)TG_BE32((tg_u32)source) << 16 | sport)) >>
				    63);
		swap = (source ^ destination) & -(tg_u64)direction;
		key[0] = key[2] = 0;
		key[1] = (source ^ swap) << 32 | 0xffff0000;
		key[3] = (destination ^ swap) << 32 | 0xffff0000;
		header = header ? header + 20 : total;
		tg_store_facts(packet, total, total - header, offset + header, window, direction, flags, p[8],
			       p[1], protocol == TG_PROTOCOL_TCP);
	} else if (type == TG_RAW16(TG_ETHERTYPE_IPV6)) {
		const tg_u64_unaligned *s = (const tg_u64_unaligned *)(p + 8), *d = s + 2;
		tg_u64 s0, s1, d0, d1;

		if (p + 40 > end || (p[0] >> 4) != 6)
			return 0;
		total = (tg_u32)tg_load16(p + 4) + 40;
		if (total == 40 || total + offset > frame->wire_octets)
			return 0;
		protocol = p[6];
		if (!tg_quick_transport(frame, p + 40, protocol, total - 40, &sport, &dport, &header, &window,
					&flags, &packet->sequence))
			return 0;
		s0 = TG_BE64(s[0]);
		s1 = TG_BE64(s[1]);
		d0 = TG_BE64(d[0]);
		d1 = TG_BE64(d[1]);
		direction = s0 != d0 ? s0 > d0 : s1 != d1 ? s1 > d1 : sport > dport;
		if (direction) {
			key[0] = d[0];
			key[1] = d[1];
			key[2] = s[0];
			key[3] = s[1];
		} else {
			key[0] = s[0];
			key[1] = s[1];
			key[2] = d[0];
			key[3] = d[1];
		}
		header = header ? header + 40 : total;
		tg_store_facts(packet, total, total - header, offset + header, window, direction, flags, p[7],
			       (tg_u8)(p[0] << 4 | p[1] >> 4), protocol == TG_PROTOCOL_TCP);
	} else {
		return 0;
	}
	{
		tg_u16 swap = (tg_u16)((sport ^ dport) & -(tg_u16)direction);

		tg_store_key_tail(&packet->key, sport ^ swap, dport ^ swap, protocol,
				  type == TG_RAW16(TG_ETHERTYPE_IPV4) ? TG_KIND_IPV4 : TG_KIND_IPV6, vlan,
				  inner);
	}
	return 1;
}

#endif
