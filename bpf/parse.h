/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes of a frame -> flow key, direction and header facts. One source for the kernel (clang -target bpf) and
 * for user space (replay, tests, fuzzing). No maps, no helpers, no allocation.
 *
 *   struct tg_frame frame = { data, data_end, wire_octets };
 *   struct tg_packet packet;
 *   tg_parse(&frame, &packet);       always fills packet: what cannot be read becomes a TG_KIND_UNPARSED key
 *
 * Verifier notes: offsets live in `struct tg_cursor` and are clamped before they are added to `data`, because
 * the verifier forgets a bound that it cannot see on the same path; the loops over extension headers and TCP
 * options are in functions of their own that keep their state behind a volatile pointer, so that each
 * iteration starts from "unknown" and the verifier converges at once instead of exploring every path.
 */
#ifndef TIDEGATE_PARSE_H
#define TIDEGATE_PARSE_H

#include "flow_key.h"

#define TG_ETHERTYPE_IPV4 0x0800
#define TG_ETHERTYPE_IPV6 0x86dd
#define TG_ETHERTYPE_VLAN 0x8100
#define TG_ETHERTYPE_QINQ 0x88a8
#define TG_ETHERTYPE_QINQ_OLD 0x9100

#define TG_PROTOCOL_ICMP 1
#define TG_PROTOCOL_TCP 6
#define TG_PROTOCOL_UDP 17
#define TG_PROTOCOL_ICMPV6 58
#define TG_PROTOCOL_NO_NEXT 59
#define TG_PROTOCOL_SCTP 132
#define TG_PROTOCOL_UDPLITE 136

/* IPv6 extension headers that are walked, RFC 8200 section 4, RFC 4302, RFC 7401, RFC 5533 */
#define TG_EXT_HOP_BY_HOP 0
#define TG_EXT_ROUTING 43
#define TG_EXT_FRAGMENT 44
#define TG_EXT_AUTHENTICATION 51
#define TG_EXT_DESTINATION 60
#define TG_EXT_MOBILITY 135

#define TG_MAX_EXTENSIONS 8
#define TG_MAX_OFFSET 4096 /* no header that matters begins further into a frame */

#define TG_TCP_FIN 0x01
#define TG_TCP_SYN 0x02
#define TG_TCP_RST 0x04
#define TG_TCP_ACK 0x10

/* What of a frame is readable, and how long it was on the wire (a capture may hold less). */
struct tg_frame {
	const tg_u8 *data;
	const tg_u8 *data_end;
	tg_u32 wire_octets;
};

enum tg_fragment { TG_FRAGMENT_NONE = 0, TG_FRAGMENT_FIRST = 1, TG_FRAGMENT_LATER = 2 };

struct tg_packet {
	struct tg_flow_key key;
	tg_u32 octets;	       /* IP total length; frame length for non-IP and unparsed */
	tg_u32 fragment_id;    /* identification, with `fragment` != NONE */
	tg_u16 payload;	       /* transport payload length, 0 when there is no transport header */
	tg_u16 window;	       /* TCP */
	tg_u16 mss;	       /* TCP SYN option, 0 absent */
	tg_u16 payload_offset; /* from the start of the frame; meaningful when payload > 0 */
	tg_u8 window_scale;    /* TCP SYN option + 1, 0 absent */
	tg_u8 direction;       /* 0 lower -> upper, 1 upper -> lower */
	tg_u8 flags;	       /* TCP flags byte */
	tg_u8 ttl;
	tg_u8 tos;
	tg_u8 fragment; /* enum tg_fragment */
	tg_u8 is_tcp;
	tg_u8 unparsed; /* enum tg_unparsed */
};

/* Mutable parsing state, also the argument of the functions that loop. */
struct tg_cursor {
	tg_u32 offset;
	tg_u32 fragment_id;
	tg_u8 next;	/* protocol of the header at offset */
	tg_u8 fragment; /* enum tg_fragment */
	tg_u8 error;	/* enum tg_unparsed */
	tg_u8 window_scale;
	tg_u16 mss;
};

TG_INLINE tg_u16 tg_load16(const tg_u8 *p)
{
	return (tg_u16)(p[0] << 8 | p[1]);
}

TG_INLINE tg_u32 tg_load32(const tg_u8 *p)
{
	return (tg_u32)p[0] << 24 | (tg_u32)p[1] << 16 | (tg_u32)p[2] << 8 | p[3];
}

/* The bytes at an offset, or 0 when fewer than `need` are readable. */
TG_INLINE const tg_u8 *tg_at(const tg_u8 *data, const tg_u8 *data_end, tg_u32 offset, tg_u32 need)
{
	const tg_u8 *p;

	if (offset > TG_MAX_OFFSET)
		return 0;
	p = data + offset;
	if (p + need > data_end)
		return 0;
	return p;
}

/* Walks IPv6 extension headers from cursor->offset; stops at the first header that is none of them. */
TG_INLINE void tg_walk_extensions(const tg_u8 *data, const tg_u8 *data_end, volatile struct tg_cursor *cursor)
{
	int i;

	for (i = 0; i < TG_MAX_EXTENSIONS; i++) {
		tg_u8 next = cursor->next;
		tg_u32 offset = cursor->offset;
		const tg_u8 *p;

		switch (next) {
		case TG_EXT_HOP_BY_HOP:
		case TG_EXT_ROUTING:
		case TG_EXT_DESTINATION:
		case TG_EXT_MOBILITY:
		case TG_EXT_AUTHENTICATION:
		case TG_EXT_FRAGMENT:
			break;
		default:
			return;
		}
		p = tg_at(data, data_end, offset, 8);
		if (!p) {
			cursor->error = TG_UNPARSED_SHORT_EXTENSION;
			return;
		}
		cursor->next = p[0];
		if (next == TG_EXT_FRAGMENT) {
			tg_u16 where = tg_load16(p + 2);

			cursor->offset = offset + 8;
			cursor->fragment_id = tg_load32(p + 4);
			if (where & 0xfff8) {
				cursor->fragment = TG_FRAGMENT_LATER;
				return;
			}
			/* An atomic fragment (RFC 6946) is a whole packet. */
			if (where & 1)
				cursor->fragment = TG_FRAGMENT_FIRST;
		} else if (next == TG_EXT_AUTHENTICATION) {
			cursor->offset = offset + ((tg_u32)p[1] + 2) * 4;
		} else {
			cursor->offset = offset + ((tg_u32)p[1] + 1) * 8;
		}
	}
	cursor->error = TG_UNPARSED_DEEP_EXTENSION;
}

/* Reads MSS and window scale (RFC 9293, RFC 7323) of a SYN; cursor->offset = first option. */
TG_INLINE void tg_read_syn_options(const tg_u8 *data, const tg_u8 *data_end, tg_u32 end,
				   volatile struct tg_cursor *cursor)
{
	int i;

	for (i = 0; i < 16; i++) {
		tg_u32 offset = cursor->offset;
		/* Three octets are the window scale option, the shortest that matters at the very end. */
		const tg_u8 *p = tg_at(data, data_end, offset, 3);

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
			cursor->window_scale = (p[2] > 14 ? 14 : p[2]) + 1;
		} else if (p[0] == 2 && p[1] == 4 && offset + 4 <= end) {
			p = tg_at(data, data_end, offset, 4);
			if (p)
				cursor->mss = tg_load16(p + 2);
		}
	}
}

#ifdef __bpf__
/* Global functions are verified once, on their own; they take the context and derive the packet again. */
struct xdp_md;
int tg_walk_extensions_slow(struct xdp_md *context, struct tg_cursor *cursor);
int tg_read_syn_options_slow(struct xdp_md *context, struct tg_cursor *cursor, unsigned int end);
#endif

TG_INLINE void tg_map_ipv4(tg_u8 *address, const tg_u8 *p)
{
	tg_u32 *words = (tg_u32 *)address;

	words[0] = 0;
	words[1] = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	words[2] = 0xffff0000;
#else
	words[2] = 0x0000ffff;
#endif
	__builtin_memcpy(&words[3], p, 4);
}

/* Canonical order by (address, port), most significant byte first: any flow has one key in both directions.
 */
TG_INLINE void tg_canonical(struct tg_packet *packet, const tg_u8 *source, const tg_u8 *destination,
			    tg_u16 sport, tg_u16 dport)
{
	const tg_u64 *s = (const tg_u64 *)source, *d = (const tg_u64 *)destination;
	tg_u64 s0 = __builtin_bswap64(s[0]), s1 = __builtin_bswap64(s[1]);
	tg_u64 d0 = __builtin_bswap64(d[0]), d1 = __builtin_bswap64(d[1]);
	int upper = s0 != d0 ? s0 > d0 : s1 != d1 ? s1 > d1 : sport > dport;
	tg_u64 *lower_out = (tg_u64 *)packet->key.lower_address,
	       *upper_out = (tg_u64 *)packet->key.upper_address;

	packet->direction = upper;
	lower_out[0] = upper ? d[0] : s[0];
	lower_out[1] = upper ? d[1] : s[1];
	upper_out[0] = upper ? s[0] : d[0];
	upper_out[1] = upper ? s[1] : d[1];
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

TG_INLINE void tg_unparsed(struct tg_packet *packet, const struct tg_frame *frame, tg_u8 reason,
			   tg_u16 ethertype)
{
	tg_u16 vlan = packet->key.vlan, inner = packet->key.inner_vlan;

	__builtin_memset(&packet->key, 0, sizeof(packet->key));
	packet->key.kind = TG_KIND_UNPARSED;
	packet->key.lower_port = reason;
	packet->key.upper_port = ethertype;
	packet->key.vlan = vlan;
	packet->key.inner_vlan = inner;
	packet->unparsed = reason;
	packet->octets = frame->wire_octets;
	packet->payload = 0;
	packet->is_tcp = 0;
	packet->flags = 0;
	packet->direction = 0;
	packet->fragment = TG_FRAGMENT_NONE;
}

/*
 * From the network header on. `context` is passed to the looping functions in the kernel and ignored
 * elsewhere. Lying lengths: an IP total length that is impossible for the frame is replaced by what the wire
 * carried.
 */
TG_INLINE void tg_parse_network(void *context, const struct tg_frame *frame, struct tg_packet *packet,
				tg_u16 ethertype, tg_u32 offset)
{
	const tg_u8 *data = frame->data, *data_end = frame->data_end;
	struct tg_cursor cursor = {};
	tg_u8 source[16] __attribute__((aligned(8))), destination[16] __attribute__((aligned(8)));
	tg_u32 total, available, header, transport;
	tg_u16 sport = 0, dport = 0;
	const tg_u8 *p;

	available = frame->wire_octets > offset ? frame->wire_octets - offset : 0;
	if (ethertype == TG_ETHERTYPE_IPV4) {
		tg_u16 where;

		p = tg_at(data, data_end, offset, 20);
		if (!p)
			return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_IP, ethertype);
		header = (p[0] & 15) * 4;
		if ((p[0] >> 4) != 4 || header < 20)
			return tg_unparsed(packet, frame, TG_UNPARSED_BAD_IP_HEADER, ethertype);
		total = tg_load16(p + 2);
		if (total < header || total > available)
			total = available;
		where = tg_load16(p + 6);
		if (where & 0x1fff)
			cursor.fragment = TG_FRAGMENT_LATER;
		else if (where & 0x2000)
			cursor.fragment = TG_FRAGMENT_FIRST;
		cursor.fragment_id = tg_load16(p + 4);
		cursor.next = p[9];
		packet->tos = p[1];
		packet->ttl = p[8];
		packet->key.kind = TG_KIND_IPV4;
		tg_map_ipv4(source, p + 12);
		tg_map_ipv4(destination, p + 16);
		transport = offset + header;
	} else {
		p = tg_at(data, data_end, offset, 40);
		if (!p)
			return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_IP, ethertype);
		if ((p[0] >> 4) != 6)
			return tg_unparsed(packet, frame, TG_UNPARSED_BAD_IP_HEADER, ethertype);
		total = (tg_u32)tg_load16(p + 4) + 40;
		if (total == 40 || total > available)
			total = available;
		cursor.next = p[6];
		packet->tos = (tg_u8)(p[0] << 4 | p[1] >> 4);
		packet->ttl = p[7];
		packet->key.kind = TG_KIND_IPV6;
		__builtin_memcpy(source, p + 8, 16);
		__builtin_memcpy(destination, p + 24, 16);
		transport = offset + 40;
		switch (cursor.next) {
		case TG_EXT_HOP_BY_HOP:
		case TG_EXT_ROUTING:
		case TG_EXT_DESTINATION:
		case TG_EXT_MOBILITY:
		case TG_EXT_AUTHENTICATION:
		case TG_EXT_FRAGMENT:
			cursor.offset = transport;
#ifdef __bpf__
			tg_walk_extensions_slow(context, &cursor);
#else
			(void)context;
			tg_walk_extensions(data, data_end, &cursor);
#endif
			if (cursor.error)
				return tg_unparsed(packet, frame, cursor.error, ethertype);
			transport = cursor.offset;
		}
	}

	packet->octets = total;
	packet->fragment = cursor.fragment;
	packet->fragment_id = cursor.fragment_id;
	packet->key.protocol = cursor.next;
	header = 0;
	if (cursor.fragment != TG_FRAGMENT_LATER) {
		switch (cursor.next) {
		case TG_PROTOCOL_TCP:
			p = tg_at(data, data_end, transport, 20);
			if (!p)
				return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_TRANSPORT, ethertype);
			header = (p[12] >> 4) * 4;
			if (header < 20)
				return tg_unparsed(packet, frame, TG_UNPARSED_BAD_TCP_HEADER, ethertype);
			sport = tg_load16(p);
			dport = tg_load16(p + 2);
			packet->is_tcp = 1;
			packet->flags = p[13];
			packet->window = tg_load16(p + 14);
			if ((packet->flags & TG_TCP_SYN) && header > 20) {
				cursor.offset = transport + 20;
#ifdef __bpf__
				tg_read_syn_options_slow(context, &cursor, transport + header);
#else
				tg_read_syn_options(data, data_end, transport + header, &cursor);
#endif
				packet->mss = cursor.mss;
				packet->window_scale = cursor.window_scale;
			}
			break;
		case TG_PROTOCOL_UDP:
		case TG_PROTOCOL_UDPLITE:
			p = tg_at(data, data_end, transport, 8);
			if (!p)
				return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_TRANSPORT, ethertype);
			header = 8;
			sport = tg_load16(p);
			dport = tg_load16(p + 2);
			break;
		case TG_PROTOCOL_SCTP:
			p = tg_at(data, data_end, transport, 12);
			if (!p)
				return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_TRANSPORT, ethertype);
			header = 12;
			sport = tg_load16(p);
			dport = tg_load16(p + 2);
			break;
		case TG_PROTOCOL_ICMP:
		case TG_PROTOCOL_ICMPV6:
			p = tg_at(data, data_end, transport, 4);
			if (!p)
				return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_TRANSPORT, ethertype);
			header = 4;
			tg_icmp_ports(cursor.next, p[0], p[1], &sport, &dport);
			break;
		default:
			break;
		}
		if (header && offset + total > transport + header) {
			tg_u32 payload = offset + total - transport - header;

			packet->payload = payload > 0xffff ? 0xffff : (tg_u16)payload;
			packet->payload_offset = (tg_u16)(transport + header);
		}
	}
	tg_canonical(packet, source, destination, sport, dport);
}

/* An Ethernet frame. In the kernel `context` is the XDP context. */
TG_INLINE void tg_parse(void *context, const struct tg_frame *frame, struct tg_packet *packet)
{
	const tg_u8 *p = tg_at(frame->data, frame->data_end, 0, 14);
	tg_u32 offset = 14;
	tg_u16 ethertype;
	int i;

	__builtin_memset(packet, 0, sizeof(*packet));
	if (!p)
		return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_ETHERNET, 0);
	ethertype = tg_load16(p + 12);
	TG_UNROLL
	for (i = 0; i < 2; i++) {
		tg_u16 tag;

		if (ethertype != TG_ETHERTYPE_VLAN && ethertype != TG_ETHERTYPE_QINQ &&
		    ethertype != TG_ETHERTYPE_QINQ_OLD)
			break;
		p = tg_at(frame->data, frame->data_end, offset, 4);
		if (!p)
			return tg_unparsed(packet, frame, TG_UNPARSED_SHORT_VLAN, ethertype);
		tag = tg_load16(p) & 0x0fff;
		if (i == 0)
			packet->key.vlan = tag;
		else
			packet->key.inner_vlan = tag;
		ethertype = tg_load16(p + 2);
		offset += 4;
	}
	if (ethertype == TG_ETHERTYPE_IPV4 || ethertype == TG_ETHERTYPE_IPV6)
		return tg_parse_network(context, frame, packet, ethertype, offset);
	packet->key.kind = TG_KIND_NON_IP;
	packet->key.lower_port = ethertype < 0x0600 ? 0 : ethertype; /* below: an IEEE 802.3 length */
	packet->octets = frame->wire_octets;
}

#endif
