/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which payloads are sent to user space as heads (struct tg_head). The kernel looks services up in a hash
 * map, user space in a list; the decisions are these. For each payload of a flow that tg_head_open() admits:
 *
 *   to = wanted(tg_head_service_of(packet, 1)), from = wanted(tg_head_service_of(packet, 0));
 *   if neither: any = wanted({TG_HEAD_PORT_ANY, protocol});
 *   octets = tg_head_next(entry, packet, to, from, any, &head); 0 = send nothing
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

	return packet->payload && (e->cpu >> shift & TG_HEAD_CLOSED) != TG_HEAD_CLOSED &&
	       (!packet->is_tcp || (e->state & (TG_STATE_SYN_LOWER | TG_STATE_SYN_UPPER | TG_STATE_SYNACK)));
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

		side = client == d ? TG_HEAD_TO_PORT : TG_HEAD_FROM_PORT;
		want = any->sides & side ? any : 0;
	}
	if (!want || number >= want->packets) {
		e->cpu |= TG_HEAD_CLOSED << shift;
		return 0;
	}
	e->cpu += 1 << shift;
	octets = packet->payload < want->octets ? packet->payload : want->octets;
	head->key = packet->key;
	head->sequence = packet->is_tcp ? packet->sequence : 0;
	head->payload = packet->payload;
	head->octets = (tg_u16)octets;
	head->direction = (tg_u8)d;
	head->number = (tg_u8)number;
	head->side = side;
	return octets;
}

#endif
