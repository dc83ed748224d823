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

#include "parse_bytes.h"
#include "parse_network.h"
#include "parse_tunnel.h"
#include "parse_transport.h"

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
