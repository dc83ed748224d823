/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Packets inside packets: GRE, VXLAN, Geneve, GTP-U. IP in IP needs tg_enter only. Part of parse_slow.h. */
#ifndef TIDEGATE_PARSE_TUNNEL_H
#define TIDEGATE_PARSE_TUNNEL_H

#define TG_MAX_DEPTH 2 /* tunnels inside one another */

/* A frame or packet inside a tunnel begins at `offset`. */
TG_INLINE void tg_enter(struct tg_packet *packet, volatile struct tg_cursor *cursor, tg_u16 kind, tg_u32 id,
			tg_u32 offset, tg_u16 ethertype)
{
	packet->key.tunnel_kind = kind;
	packet->key.tunnel_id = id;
	cursor->depth = cursor->depth + 1;
	cursor->offset = offset;
	cursor->tags = 0;
	cursor->labels = 0;
	cursor->extensions = 0;
	cursor->ethertype = ethertype;
	cursor->stage = ethertype == TG_ETHERTYPE_TEB ? TG_STAGE_ETHERNET : TG_STAGE_ETHERTYPE;
}

TG_INLINE int tg_step_gre(const struct tg_frame *frame, struct tg_packet *packet,
			  volatile struct tg_cursor *cursor)
{
	tg_u32 offset = cursor->offset, length = 4, id = 0;
	const tg_u8 *p = tg_at(frame, offset, 4);
	tg_u16 flags, type;

	if (!p)
		return TG_UNPARSED_SHORT_TUNNEL;
	flags = tg_load16(p);
	type = tg_load16(p + 2);
	/* Version 0 without source routing (RFC 2784, RFC 2890); anything else stays the outer flow. */
	if (flags & 0x4007)
		return TG_STEP_OTHER;
	if (flags & 0x8000)
		length += 4;
	if (flags & 0x2000) {
		p = tg_at(frame, offset + length, 4);
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		id = tg_load32(p);
		length += 4;
	}
	if (flags & 0x1000)
		length += 4;
	tg_enter(packet, cursor, TG_PROTOCOL_GRE, id, offset + length, type);
	return 0;
}

/* A UDP tunnel; cursor->offset = after the UDP header. */
TG_INLINE int tg_step_udp_tunnel(const struct tg_frame *frame, struct tg_packet *packet,
				 volatile struct tg_cursor *cursor, tg_u16 port)
{
	tg_u32 offset = cursor->offset + 8;
	const tg_u8 *p = tg_at(frame, offset, 8);

	if (port == TG_PORT_VXLAN && (frame->tunnels & TG_TUNNEL_VXLAN)) {
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		if (!(p[0] & 0x08))
			return TG_STEP_OTHER;
		tg_enter(packet, cursor, port, tg_load32(p + 4) >> 8, offset + 8, TG_ETHERTYPE_TEB);
		return 0;
	}
	if (port == TG_PORT_GENEVE && (frame->tunnels & TG_TUNNEL_GENEVE)) {
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		if (p[0] & 0xc0)
			return TG_STEP_OTHER;
		tg_enter(packet, cursor, port, tg_load32(p + 4) >> 8, offset + 8 + (p[0] & 0x3f) * 4u,
			 tg_load16(p + 2));
		return 0;
	}
	if (port == TG_PORT_GTPU && (frame->tunnels & TG_TUNNEL_GTPU)) {
		tg_u8 first, type;
		tg_u32 id;

		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		first = p[0];
		type = p[1];
		id = tg_load32(p + 4);
		/* Version 1, a user packet, no extension headers; signalling stays the outer flow. */
		if ((first & 0xf0) != 0x30 || type != 255 || (first & 0x04))
			return TG_STEP_OTHER;
		offset += first & 0x03 ? 12 : 8;
		p = tg_at(frame, offset, 1);
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		tg_enter(packet, cursor, port, id, offset,
			 (p[0] >> 4) == 6 ? TG_ETHERTYPE_IPV6 : TG_ETHERTYPE_IPV4);
		return 0;
	}
	return TG_STEP_OTHER;
}

#endif
