/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The slow way of parse.h: every header that is known, in any order that is allowed, one header a step.
 * Included by parse.h only.
 *
 * Verifier notes: offsets are clamped before they are added to `data`, because the verifier forgets a bound
 * that it cannot see on the same path; the state is behind a volatile pointer (see struct tg_cursor), so that
 * each step starts from "unknown" and paths merge instead of multiplying.
 */
#ifndef TIDEGATE_PARSE_SLOW_H
#define TIDEGATE_PARSE_SLOW_H

/* Headers in one packet: two tags, PPPoE, labels, two IP headers with extensions, tunnels. */
#define TG_MAX_STEPS 32
#define TG_MAX_LABELS 8
#define TG_MAX_DEPTH 2 /* tunnels inside one another */

enum tg_stage { TG_STAGE_ETHERNET, TG_STAGE_ETHERTYPE, TG_STAGE_PROTOCOL };

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
	available = frame->wire_octets > offset ? frame->wire_octets - offset : 0;
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
	available = frame->wire_octets > offset ? frame->wire_octets - offset : 0;
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

/* What a step returns besides a reason of enum tg_unparsed. */
#define TG_STEP_DONE 100
#define TG_STEP_OTHER 101 /* not a tunnel after all */

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

#ifdef __bpf__
/* The kernel's counting iterator (Linux 6.4): the verifier looks at a loop over it until nothing new comes
 * up, once or twice, and not at every round of it. */
struct bpf_iter_num {
	tg_u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
#define TG_STEPS_BEGIN                                                                                       \
	struct bpf_iter_num rounds;                                                                          \
	bpf_iter_num_new(&rounds, 0, TG_MAX_STEPS);                                                          \
	while (bpf_iter_num_next(&rounds))
#define TG_STEPS_END bpf_iter_num_destroy(&rounds)
#else
#define TG_STEPS_BEGIN                                                                                       \
	int round;                                                                                           \
	for (round = 0; round < TG_MAX_STEPS; round++)
#define TG_STEPS_END (void)0
#endif

/* Runs the machine from where packet->cursor stands. */
TG_INLINE void tg_parse_steps(const struct tg_frame *frame, struct tg_packet *packet)
{
	volatile struct tg_cursor *cursor = &packet->cursor;
	const tg_u8 *p;
	int step = TG_UNPARSED_DEEP_EXTENSION;

	TG_STEPS_BEGIN
	{
		tg_u8 stage = cursor->stage;

		step = TG_UNPARSED_DEEP_EXTENSION;
		if (stage == TG_STAGE_PROTOCOL) {
			step = tg_step_protocol(frame, packet, cursor);
		} else if (stage == TG_STAGE_ETHERTYPE) {
			step = tg_step_ethertype(frame, packet, cursor);
		} else {
			tg_u32 offset = cursor->offset;

			p = tg_at(frame, offset, 14);
			step = cursor->depth ? TG_UNPARSED_SHORT_TUNNEL : TG_UNPARSED_SHORT_ETHERNET;
			if (p) {
				cursor->ethertype = tg_load16(p + 12);
				cursor->offset = offset + 14;
				cursor->stage = TG_STAGE_ETHERTYPE;
				step = 0;
			}
		}
		if (step)
			break;
	}
	TG_STEPS_END;
	if (step == 0)
		step = TG_UNPARSED_DEEP_EXTENSION;
	if (step != TG_STEP_DONE)
		tg_unparsed(packet, frame, (tg_u8)step, cursor->ethertype);
}

/* A packet whose EtherType and beginning are known, e.g. of a capture that is not Ethernet. `packet` is
 * zeroed but for what the caller knows already (VLAN). In user space `context` is ignored. */
TG_INLINE void tg_parse_network(void *context, const struct tg_frame *frame, struct tg_packet *packet,
				tg_u16 ethertype, tg_u32 offset)
{
	(void)context;
	packet->cursor.offset = offset;
	packet->cursor.ethertype = ethertype;
	packet->cursor.stage = TG_STAGE_ETHERTYPE;
	tg_parse_steps(frame, packet);
}

/* A whole Ethernet frame, from its first octet on. */
TG_INLINE void tg_parse_frame(const struct tg_frame *frame, struct tg_packet *packet)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->cursor.stage = TG_STAGE_ETHERNET;
	tg_parse_steps(frame, packet);
}

#endif
