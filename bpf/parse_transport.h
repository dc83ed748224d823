/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What an IP protocol number announces: extension headers, tunnels, transport. Part of parse_slow.h. */
#ifndef TIDEGATE_PARSE_TRANSPORT_H
#define TIDEGATE_PARSE_TRANSPORT_H

/* Reads MSS and window scale (RFC 9293, RFC 7323) of a SYN from cursor->offset up to `end`. */
TG_INLINE void tg_read_syn_options(const struct tg_frame *frame, struct tg_packet *packet, tg_u32 end)
{
	volatile struct tg_cursor *cursor = &packet->cursor;
	int i;

	for (i = 0; i < 16; i++) {
		tg_u32 offset = cursor->offset;
		/* Three octets are the window scale option, the shortest that matters at the very end. */
		const tg_u8 *p = tg_at(frame, offset, 3);

		if (!p || offset + 3 > end || p[0] == 0)
			return;
		if (p[0] == 1) {
			cursor->offset = offset + 1;
			continue;
		}
		if (p[1] < 2)
			return;
		cursor->offset = offset + p[1];
		if (p[0] == 3 && p[1] == 3) {
			packet->window_scale = (p[2] > 14 ? 14 : p[2]) + 1;
		} else if (p[0] == 2 && p[1] == 4 && offset + 4 <= end) {
			p = tg_at(frame, offset, 4);
			if (p)
				packet->mss = tg_load16(p + 2);
		}
	}
}

/* The header of protocol cursor->next. Returns 0 to go on, TG_STEP_DONE, or why not. */
TG_INLINE int tg_step_protocol(const struct tg_frame *frame, struct tg_packet *packet,
			       volatile struct tg_cursor *cursor)
{
	tg_u32 offset = cursor->offset, header = 0, end = cursor->end;
	tg_u16 sport = 0, dport = 0;
	tg_u8 next = cursor->next;
	const tg_u8 *p;
	int step;

	if (packet->fragment == TG_FRAGMENT_LATER)
		goto done;
	switch (next) {
	case TG_EXT_HOP_BY_HOP:
	case TG_EXT_ROUTING:
	case TG_EXT_DESTINATION:
	case TG_EXT_MOBILITY:
	case TG_EXT_FRAGMENT:
		/* In IPv4 these numbers are protocols like any other. */
		if (packet->key.kind != TG_KIND_IPV6)
			goto done;
		/* fallthrough */
	case TG_EXT_AUTHENTICATION:
		p = tg_at(frame, offset, 8);
		if (!p)
			return TG_UNPARSED_SHORT_EXTENSION;
		if (cursor->extensions >= TG_MAX_EXTENSIONS)
			return TG_UNPARSED_DEEP_EXTENSION;
		cursor->extensions = cursor->extensions + 1;
		cursor->next = p[0];
		if (next == TG_EXT_FRAGMENT) {
			tg_u16 where = tg_load16(p + 2);

			packet->fragment_id = tg_load32(p + 4);
			/* Offset 0 without more to come is an atomic fragment (RFC 6946): a whole packet. */
			packet->fragment = where & 0xfff8 ? TG_FRAGMENT_LATER
					   : where & 1	  ? TG_FRAGMENT_FIRST
							  : 0;
			cursor->offset = offset + 8;
		} else if (next == TG_EXT_AUTHENTICATION) {
			cursor->offset = offset + (p[1] + 2u) * 4;
		} else {
			cursor->offset = offset + (p[1] + 1u) * 8;
		}
		return 0;
	case TG_PROTOCOL_IPIP:
	case TG_PROTOCOL_IPV6:
		if (!(frame->tunnels & TG_TUNNEL_IP) || cursor->depth >= TG_MAX_DEPTH)
			break;
		tg_enter(packet, cursor, next, 0, offset,
			 next == TG_PROTOCOL_IPIP ? TG_ETHERTYPE_IPV4 : TG_ETHERTYPE_IPV6);
		return 0;
	case TG_PROTOCOL_GRE:
		if (!(frame->tunnels & TG_TUNNEL_GRE) || cursor->depth >= TG_MAX_DEPTH)
			break;
		step = tg_step_gre(frame, packet, cursor);
		if (step != TG_STEP_OTHER)
			return step;
		break;
	case TG_PROTOCOL_TCP:
		p = tg_at(frame, offset, 20);
		if (!p)
			return TG_UNPARSED_SHORT_TRANSPORT;
		header = (p[12] >> 4) * 4;
		if (header < 20)
			return TG_UNPARSED_BAD_TCP_HEADER;
		sport = tg_load16(p);
		dport = tg_load16(p + 2);
		packet->is_tcp = 1;
		packet->flags = p[13];
		packet->window = tg_load16(p + 14);
		if (frame->tunnels & TG_PARSE_SEQUENCE)
			packet->sequence = tg_load32(p + 4);
		if ((packet->flags & TG_TCP_SYN) && header > 20) {
			cursor->offset = offset + 20;
			tg_read_syn_options(frame, packet, offset + header);
		}
		break;
	case TG_PROTOCOL_UDP:
	case TG_PROTOCOL_UDPLITE:
		p = tg_at(frame, offset, 8);
		if (!p)
			return TG_UNPARSED_SHORT_TRANSPORT;
		header = 8;
		sport = tg_load16(p);
		dport = tg_load16(p + 2);
		if (next == TG_PROTOCOL_UDP && cursor->depth < TG_MAX_DEPTH) {
			step = tg_step_udp_tunnel(frame, packet, cursor, dport);
			if (step != TG_STEP_OTHER)
				return step;
		}
		break;
	case TG_PROTOCOL_SCTP:
		p = tg_at(frame, offset, 12);
		if (!p)
			return TG_UNPARSED_SHORT_TRANSPORT;
		header = 12;
		sport = tg_load16(p);
		dport = tg_load16(p + 2);
		break;
	case TG_PROTOCOL_ICMP:
	case TG_PROTOCOL_ICMPV6:
		p = tg_at(frame, offset, 4);
		if (!p)
			return TG_UNPARSED_SHORT_TRANSPORT;
		header = 4;
		tg_icmp_ports(next, p[0], p[1], &sport, &dport);
		break;
	}
done:
	packet->key.protocol = next;
	if (header && end > offset + header) {
		tg_u32 payload = end - offset - header;

		packet->payload = payload > 0xffff ? 0xffff : (tg_u16)payload;
		packet->payload_offset = (tg_u16)(offset + header);
	}
	tg_canonical(packet, sport, dport);
	return TG_STEP_DONE;
}

#endif
