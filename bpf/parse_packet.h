/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the parser reads and writes: the words of the protocols, a frame, what is known of a packet. */
#ifndef TIDEGATE_PARSE_PACKET_H
#define TIDEGATE_PARSE_PACKET_H

#include "flow_key.h"

#define TG_ETHERTYPE_IPV4 0x0800
#define TG_ETHERTYPE_IPV6 0x86dd
#define TG_ETHERTYPE_VLAN 0x8100
#define TG_ETHERTYPE_QINQ 0x88a8
#define TG_ETHERTYPE_QINQ_OLD 0x9100
#define TG_ETHERTYPE_MPLS 0x8847
#define TG_ETHERTYPE_MPLS_MULTICAST 0x8848
#define TG_ETHERTYPE_PPPOE 0x8864
#define TG_ETHERTYPE_TEB 0x6558 /* transparent Ethernet bridging: a whole frame follows */

#define TG_PROTOCOL_ICMP 1
#define TG_PROTOCOL_IPIP 4
#define TG_PROTOCOL_TCP 6
#define TG_PROTOCOL_UDP 17
#define TG_PROTOCOL_IPV6 41
#define TG_PROTOCOL_GRE 47
#define TG_PROTOCOL_ESP 50
#define TG_PROTOCOL_ICMPV6 58
#define TG_PROTOCOL_NO_NEXT 59
#define TG_PROTOCOL_SCTP 132
#define TG_PROTOCOL_UDPLITE 136

/* IPv6 extension headers that are walked, RFC 8200 section 4, RFC 4302, RFC 6275 */
#define TG_EXT_HOP_BY_HOP 0
#define TG_EXT_ROUTING 43
#define TG_EXT_FRAGMENT 44
#define TG_EXT_AUTHENTICATION 51
#define TG_EXT_DESTINATION 60
#define TG_EXT_MOBILITY 135

/* UDP destination ports of tunnels: RFC 7348, RFC 8926, 3GPP TS 29.281 */
#define TG_PORT_VXLAN 4789
#define TG_PORT_GENEVE 6081
#define TG_PORT_GTPU 2152

/* Which tunnels are entered, so that the flow is the inner one; bits of tg_frame.tunnels. */
#define TG_TUNNEL_VXLAN 0x01
#define TG_TUNNEL_GENEVE 0x02
#define TG_TUNNEL_GTPU 0x04
#define TG_TUNNEL_GRE 0x08
#define TG_TUNNEL_IP 0x10 /* IPv4 or IPv6 in IPv4 or IPv6 */

/* Also a bit of tg_frame.tunnels: tg_packet.sequence is wanted. */
#define TG_PARSE_SEQUENCE 0x100

#define TG_MAX_EXTENSIONS 8
#define TG_MAX_OFFSET 4096 /* no header that matters begins further into a frame */

#define TG_TCP_FIN 0x01
#define TG_TCP_SYN 0x02
#define TG_TCP_RST 0x04
#define TG_TCP_PSH 0x08
#define TG_TCP_ACK 0x10
#define TG_TCP_CWR 0x80

/* What of a frame is readable, and how long it was on the wire (a capture may hold less). */
struct tg_frame {
	const tg_u8 *data;
	const tg_u8 *data_end;
	tg_u32 wire_octets;
	tg_u32 tunnels; /* TG_TUNNEL_*, TG_PARSE_SEQUENCE */
#ifdef __bpf__
	/* For the slow way, where a frame is not in one piece: from where headers are copied, and to where.
	 */
	struct xdp_md *xdp;
	struct __sk_buff *skb;
	tg_u8 *window; /* TG_WINDOW_WORDS x 8 octets */
#endif
};

/* No step looks at more octets at once: an IPv6 header. */
#define TG_WINDOW_WORDS 5

enum tg_fragment { TG_FRAGMENT_NONE = 0, TG_FRAGMENT_FIRST = 1, TG_FRAGMENT_LATER = 2 };

/* Where the slow way stands. It lives in the packet, behind the pointer that a global function gets, because
 * what the verifier cannot know it does not try to follow: the loop then converges at once. */
struct tg_cursor {
	tg_u32 offset;
	tg_u32 network; /* offset of the IP header */
	tg_u32 end;	/* offset where the IP packet ends, by its own word */
	tg_u16 ethertype;
	tg_u8 stage;
	tg_u8 next; /* protocol of the header at offset */
	tg_u8 tags;
	tg_u8 extensions;
	tg_u8 depth;
	tg_u8 labels;
};

struct tg_packet {
	struct tg_flow_key key;
	tg_u32 octets;	       /* IP total length; frame length for non-IP and unparsed */
	tg_u32 fragment_id;    /* identification, with `fragment` != NONE */
	tg_u16 payload;	       /* transport payload length, 0 when there is no transport header */
	tg_u16 payload_offset; /* from the start of the frame; meaningful when payload > 0 */
	tg_u16 window;	       /* TCP */
	tg_u16 mss;	       /* TCP SYN option, 0 absent */
	tg_u8 window_scale;    /* TCP SYN option + 1, 0 absent */
	tg_u8 direction;       /* 0 lower -> upper, 1 upper -> lower */
	tg_u8 flags;	       /* TCP flags byte */
	tg_u8 ttl;
	tg_u8 tos;
	tg_u8 fragment; /* enum tg_fragment */
	tg_u8 is_tcp;
	tg_u8 unparsed;	 /* enum tg_unparsed */
	tg_u32 sequence; /* TCP, when asked for by TG_PARSE_SEQUENCE; else not defined */
	tg_u32 reserved;
	tg_u8 source[16], destination[16];
	struct tg_cursor cursor;
};

/*
 * Packet bytes lie at any address. x86 and arm64 load them in one go; told that they are bytes, clang's BPF
 * back end would put every number together one octet at a time, which costs more than the rest of the parser.
 */
#ifdef __bpf__
typedef tg_u16 tg_u16_unaligned;
typedef tg_u32 tg_u32_unaligned;
typedef tg_u64 tg_u64_unaligned;
#else
typedef tg_u16 __attribute__((aligned(1), may_alias)) tg_u16_unaligned;
typedef tg_u32 __attribute__((aligned(1), may_alias)) tg_u32_unaligned;
typedef tg_u64 __attribute__((aligned(1), may_alias)) tg_u64_unaligned;
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TG_BE16(x) __builtin_bswap16(x)
#define TG_BE32(x) __builtin_bswap32(x)
#define TG_BE64(x) __builtin_bswap64(x)
#else
#error "the packed words below are laid out for little-endian machines"
#endif

TG_INLINE tg_u16 tg_load16(const tg_u8 *p)
{
	return TG_BE16(*(const tg_u16_unaligned *)p);
}

TG_INLINE tg_u32 tg_load32(const tg_u8 *p)
{
	return TG_BE32(*(const tg_u32_unaligned *)p);
}

/* Eight packed words of a packet, from `octets` on: written whole, because stores of single octets are dear.
 */
TG_INLINE void tg_store_facts(struct tg_packet *packet, tg_u32 octets, tg_u32 payload, tg_u32 payload_offset,
			      tg_u16 window, tg_u8 direction, tg_u8 flags, tg_u8 ttl, tg_u8 tos, tg_u8 is_tcp)
{
	tg_u64_alias *words = (tg_u64_alias *)&packet->octets;

	words[0] = octets;
	words[1] = payload | (tg_u64)payload_offset << 16 | (tg_u64)window << 32;
	words[2] = (tg_u64)direction << 8 | (tg_u64)flags << 16 | (tg_u64)ttl << 24 | (tg_u64)tos << 32 |
		   (tg_u64)is_tcp << 48;
}

/* The last two words of a key. */
TG_INLINE void tg_store_key_tail(struct tg_flow_key *key, tg_u16 lower_port, tg_u16 upper_port,
				 tg_u8 protocol, tg_u8 kind, tg_u16 vlan, tg_u16 inner_vlan)
{
	tg_u64_alias *words = (tg_u64_alias *)key;

	words[4] = lower_port | (tg_u64)upper_port << 16 | (tg_u64)protocol << 32 | (tg_u64)kind << 40 |
		   (tg_u64)vlan << 48;
	words[5] = (tg_u64)inner_vlan << 32;
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

#endif
