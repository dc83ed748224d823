/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes of a frame -> flow key, direction and header facts. One source for the kernel (clang -target bpf) and
 * for user space (replay, tests, fuzzing). No maps, no helpers, no allocation.
 *
 *   struct tg_frame frame = { data, data_end, wire_octets, tunnels };
 *   struct tg_packet packet;
 *   tg_parse(context, &frame, &packet);   always fills packet: what cannot be read becomes TG_KIND_UNPARSED
 *
 * Two ways lead through it. The quick one takes what nearly every packet is (up to two VLAN tags, IPv4
 * without options, IPv6 without extension headers, whole TCP segments without SYN, UDP, ESP) in one straight
 * line; all else goes to parse_slow.h, a state machine that the verifier sees once, as a function of its own.
 * Both give the same answer to the same bytes, which a test asserts.
 */
#ifndef TIDEGATE_PARSE_H
#define TIDEGATE_PARSE_H

#include "parse_packet.h"
#include "parse_quick.h"
#include "parse_slow.h"

#ifdef __bpf__
/* Defined by the programs: tg_parse_frame for XDP frames. A global function, verified once on its own. */
int tg_parse_slow(struct xdp_md *context, struct tg_packet *packet);
int tg_parse_straddling(struct xdp_md *context, struct tg_packet *packet);
#define TG_PARSE_STRADDLES 1 /* the frame is in several buffers */
#endif

/* An Ethernet frame. In the kernel `context` is the XDP context. */
TG_INLINE void tg_parse(void *context, const struct tg_frame *frame, struct tg_packet *packet)
{
	if (tg_parse_quick(frame, packet))
		return;
#ifdef __bpf__
	if (tg_parse_slow(context, packet) == TG_PARSE_STRADDLES)
		tg_parse_straddling(context, packet);
#else
	(void)context;
	tg_parse_frame(frame, packet);
#endif
}

#endif
