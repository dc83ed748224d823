/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What an EtherType announces: IP, tags, PPPoE, MPLS. Part of parse_slow.h. */
#ifndef TIDEGATE_PARSE_NETWORK_H
#define TIDEGATE_PARSE_NETWORK_H

#define TG_MAX_LABELS 8

/* Octets from `offset` on: of the frame, or inside a tunnel of the packet that carries this one. */
TG_INLINE tg_u32 tg_available(const struct tg_frame *frame, volatile struct tg_cursor *cursor, tg_u32 offset)
{
	tg_u32 end = cursor->depth ? cursor->end : frame->wire_octets;

	return end > offset ? end - offset : 0;
}

TG_INLINE int tg_step_ipv4(const struct tg_frame *frame, struct tg_packet *packet,
			   volatile struct tg_cursor *cursor)
{
	tg_u32 offset = cursor->offset, available, header, total;
	const tg_u8 *p = tg_at(frame, offset, 20);
	tg_u16 where;

	if (!p)
		return TG_UNPARSED_SHORT_IP;
	header = (p[0] & 15) * 4;
	if ((p[0] >> 4) != 4 || header < 20)
		return TG_UNPARSED_BAD_IP_HEADER;
	/* Lying lengths: a total length that is impossible for the frame is replaced by what the wire
	 * carried. */
	available = tg_available(frame, cursor, offset);
	total = tg_load16(p + 2);
	if (total < header || total > available)
		total = available;
	where = tg_load16(p + 6);
	packet->fragment = where & 0x1fff ? TG_FRAGMENT_LATER : where & 0x2000 ? TG_FRAGMENT_FIRST : 0;
	packet->fragment_id = tg_load16(p + 4);
	packet->tos = p[1];
	packet->ttl = p[8];
	packet->key.kind = TG_KIND_IPV4;
	/* Inside a tunnel the octets stay those of the outermost packet: that is what the wire carried. */
	if (cursor->depth == 0)
		packet->octets = total;
	tg_map_ipv4(packet->source, p + 12);
	tg_map_ipv4(packet->destination, p + 16);
	cursor->next = p[9];
	cursor->end = offset + total;
	cursor->offset = offset + header;
	cursor->stage = TG_STAGE_PROTOCOL;
	return 0;
}

TG_INLINE int tg_step_ipv6(const struct tg_frame *frame, struct tg_packet *packet,
			   volatile struct tg_cursor *cursor)
{
	tg_u32 offset = cursor->offset, available, total;
	const tg_u8 *p = tg_at(frame, offset, 40);

	if (!p)
		return TG_UNPARSED_SHORT_IP;
	if ((p[0] >> 4) != 6)
		return TG_UNPARSED_BAD_IP_HEADER;
	available = tg_available(frame, cursor, offset);
	total = (tg_u32)tg_load16(p + 4) + 40;
	if (total == 40 || total > available)
		total = available;
	packet->fragment = TG_FRAGMENT_NONE;
	packet->tos = (tg_u8)(p[0] << 4 | p[1] >> 4);
	packet->ttl = p[7];
	packet->key.kind = TG_KIND_IPV6;
	if (cursor->depth == 0)
		packet->octets = total;
	tg_copy16(packet->source, p + 8);
	tg_copy16(packet->destination, p + 24);
	cursor->next = p[6];
	cursor->end = offset + total;
	cursor->offset = offset + 40;
	cursor->stage = TG_STAGE_PROTOCOL;
	return 0;
}

TG_INLINE void tg_not_ip(const struct tg_frame *frame, struct tg_packet *packet, tg_u16 ethertype)
{
	packet->key.kind = TG_KIND_NON_IP;
	packet->key.lower_port = ethertype < 0x0600 ? 0 : ethertype; /* below: an IEEE 802.3 length */
	packet->octets = frame->wire_octets;
	packet->fragment = TG_FRAGMENT_NONE;
}

/* What follows EtherType cursor->ethertype at cursor->offset. */
TG_INLINE int tg_step_ethertype(const struct tg_frame *frame, struct tg_packet *packet,
				volatile struct tg_cursor *cursor)
{
	tg_u32 offset = cursor->offset;
	tg_u16 type = cursor->ethertype, tag;
	const tg_u8 *p;

	switch (type) {
	case TG_ETHERTYPE_IPV4:
		return tg_step_ipv4(frame, packet, cursor);
	case TG_ETHERTYPE_IPV6:
		return tg_step_ipv6(frame, packet, cursor);
	case TG_ETHERTYPE_VLAN:
	case TG_ETHERTYPE_QINQ:
	case TG_ETHERTYPE_QINQ_OLD:
		if (cursor->tags >= 2)
			break;
		p = tg_at(frame, offset, 4);
		if (!p)
			return TG_UNPARSED_SHORT_VLAN;
		tag = tg_load16(p) & 0x0fff;
		/* Tags inside a tunnel are skipped: the key names those of the link. */
		if (cursor->depth == 0 && cursor->tags == 0)
			packet->key.vlan = tag;
		else if (cursor->depth == 0)
			packet->key.inner_vlan = tag;
		cursor->tags = cursor->tags + 1;
		cursor->ethertype = tg_load16(p + 2);
		cursor->offset = offset + 4;
		return 0;
	case TG_ETHERTYPE_PPPOE:
		p = tg_at(frame, offset, 8);
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		tag = tg_load16(p + 6); /* PPP protocol, RFC 2516, RFC 1332, RFC 5072 */
		if (p[0] != 0x11 || p[1] != 0 || (tag != 0x0021 && tag != 0x0057))
			break;
		cursor->ethertype = tag == 0x0021 ? TG_ETHERTYPE_IPV4 : TG_ETHERTYPE_IPV6;
		cursor->offset = offset + 8;
		return 0;
	case TG_ETHERTYPE_MPLS:
	case TG_ETHERTYPE_MPLS_MULTICAST:
		/* RFC 3032: the bottom of the stack does not say what follows; an IP version does. */
		p = tg_at(frame, offset, 5);
		if (!p)
			return TG_UNPARSED_SHORT_TUNNEL;
		if (p[2] & 1) {
			if ((p[4] >> 4) != 4 && (p[4] >> 4) != 6)
				break;
			cursor->ethertype = (p[4] >> 4) == 4 ? TG_ETHERTYPE_IPV4 : TG_ETHERTYPE_IPV6;
		} else if (cursor->labels >= TG_MAX_LABELS) {
			return TG_UNPARSED_DEEP_EXTENSION;
		}
		cursor->labels = cursor->labels + 1;
		cursor->offset = offset + 4;
		return 0;
	}
	tg_not_ip(frame, packet, type);
	return TG_STEP_DONE;
}

#endif
