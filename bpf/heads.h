/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which payloads are sent to user space as heads (struct tg_head). The kernel looks services up in a hash
 * map, user space in a list; the decisions are these. For each payload of a flow that tg_head_open() admits:
 *
 *   to = wanted(tg_head_service_of(packet, 1)), from = wanted(tg_head_service_of(packet, 0));
 *   if neither: any = wanted({TG_HEAD_PORT_ANY, protocol});
 *   octets = tg_head_next(entry, packet, to, from, any, &head); 0 = send nothing
 *   unless tg_head_begun(entry, packet): send it only if tg_head_begins(payload), after tg_head_begin()
 *
 * An entry's `cpu` counts the payloads of each direction, four bits each; TG_HEAD_CLOSED = no more are
 * wanted.
 */
#ifndef TIDEGATE_HEADS_H
#define TIDEGATE_HEADS_H

#include "parse.h"

#define TG_HEAD_CLOSED 15

/* Keeps clang from testing two pointers for 0 by one `or`, which the verifier takes for pointer arithmetic.
 */
#ifdef __bpf__
#define TG_APART(pointer) asm volatile("" : "+r"(pointer))
#else
#define TG_APART(pointer) (void)(pointer)
#endif

/* Whether heads of this packet's direction may still be wanted. */
TG_INLINE int tg_head_open(const struct tg_delta *e, const struct tg_packet *packet)
{
	tg_u32 shift = (packet->direction & 1) * 4;

	return packet->payload && (e->cpu >> shift & TG_HEAD_CLOSED) != TG_HEAD_CLOSED;
}

/* Whether a packet's residency saw the beginning of its flow. */
TG_INLINE int tg_head_opened(const struct tg_delta *e, const struct tg_packet *packet)
{
	return !packet->is_tcp || (e->state & (TG_STATE_SYN_LOWER | TG_STATE_SYN_UPPER | TG_STATE_SYNACK));
}

/* Whether a head is sent whatever is in it; else only if tg_head_begins(), after which tg_head_begin(). */
TG_INLINE int tg_head_begun(const struct tg_delta *e, const struct tg_packet *packet)
{
	return tg_head_opened(e, packet) || (e->seen & (TG_SEEN_BEGUN << (packet->direction & 1)));
}

TG_INLINE void tg_head_begin(struct tg_delta *e, const struct tg_packet *packet)
{
	e->seen |= (tg_u8)(TG_SEEN_BEGUN << (packet->direction & 1));
}

/* How many octets of a payload tg_head_begins() looks at. */
#define TG_HEAD_BEGINNING 6
#define TG_FOUR(a, b, c, d) ((tg_u32)(a) << 24 | (tg_u32)(b) << 16 | (tg_u32)(c) << 8 | (tg_u32)(d))

/* Whether a payload begins with a TLS ClientHello (RFC 8446, 5.1 and 4) or an HTTP/1 request (RFC 9110, 9.1).
 */
TG_INLINE int tg_head_begins(const tg_u8 *payload)
{
	tg_u32 word = TG_FOUR(payload[0], payload[1], payload[2], payload[3]);

	return (payload[0] == 22 && payload[1] == 3 && payload[5] == 1) ||
	       word == TG_FOUR('G', 'E', 'T', ' ') || word == TG_FOUR('P', 'O', 'S', 'T') ||
	       word == TG_FOUR('P', 'U', 'T', ' ') || word == TG_FOUR('H', 'E', 'A', 'D') ||
	       word == TG_FOUR('D', 'E', 'L', 'E') || word == TG_FOUR('O', 'P', 'T', 'I') ||
	       word == TG_FOUR('P', 'A', 'T', 'C') || word == TG_FOUR('C', 'O', 'N', 'N') ||
	       word == TG_FOUR('T', 'R', 'A', 'C');
}

/* The service at the receiving (1) or the sending (0) end of a packet. */
TG_INLINE struct tg_head_service tg_head_service_of(const struct tg_packet *packet, int receiving)
{
	struct tg_head_service service = {.protocol = packet->key.protocol};

	service.port =
	    (int)(packet->direction & 1) == receiving ? packet->key.lower_port : packet->key.upper_port;
	return service;
}

/* Whether either end is a service that was named. */
TG_INLINE int tg_head_named(const struct tg_head_want *to, const struct tg_head_want *from)
{
	TG_APART(to);
	if (to)
		return 1;
	TG_APART(from);
	return from != 0;
}

/* Counts a payload and fills its head but for the time. Returns how many octets of the payload it gets; 0 =
 * none. */
TG_INLINE tg_u32 tg_head_next(struct tg_delta *e, const struct tg_packet *packet,
			      const struct tg_head_want *to, const struct tg_head_want *from,
			      const struct tg_head_want *any, struct tg_head *head)
{
	tg_u32 d = packet->direction & 1, shift = d * 4, number = e->cpu >> shift & TG_HEAD_CLOSED, octets;
	int opened = tg_head_opened(e, packet);
	const struct tg_head_want *want = 0;
	tg_u8 side = 0;

	if (to && (to->sides & TG_HEAD_TO_PORT)) {
		want = to;
		side = TG_HEAD_TO_PORT;
	} else if (from && (from->sides & TG_HEAD_FROM_PORT)) {
		want = from;
		side = TG_HEAD_FROM_PORT;
	} else if (!tg_head_named(to, from) && any) {
		/* Whoever sent the SYN, or else the first packet that is known, is the client. */
		tg_u32 client = e->state & TG_STATE_SYN_UPPER	? 1
				: e->state & TG_STATE_SYN_LOWER ? 0
								: !!(e->state & TG_STATE_FIRST_UPPER);

		/* Without a SYN nobody knows; what begins a request says so itself. */
		side = client == d || !opened ? TG_HEAD_TO_PORT : TG_HEAD_FROM_PORT;
		want = any->sides & side ? any : 0;
	}
	if (!opened && side != TG_HEAD_TO_PORT)
		want = 0;
	if (!want || number >= want->packets) {
		e->cpu |= TG_HEAD_CLOSED << shift;
		return 0;
	}
	e->cpu += 1 << shift;
	octets = packet->payload < want->octets ? packet->payload : want->octets;
	if (!tg_head_begun(e, packet)) {
		if (octets < TG_HEAD_BEGINNING)
			return 0;
		number = 0;
	}
	head->key = packet->key;
	head->sequence = packet->is_tcp ? packet->sequence : 0;
	head->payload = packet->payload;
	head->octets = (tg_u16)octets;
	head->direction = (tg_u8)d;
	head->number = (tg_u8)number;
	head->side = side;
	head->opened = (tg_u8)opened;
	return octets;
}

#endif
