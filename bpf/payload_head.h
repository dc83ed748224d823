/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Kernel side of payload heads: the few octets kept in a flow's entry (keep_head), and the records that rules
 * and decoders in user space ask for (send_head, see heads.h). Both copy from frames of any shape: XDP frames
 * in several buffers, socket buffers whose payload is not mapped.
 */
#ifndef TIDEGATE_PAYLOAD_HEAD_H
#define TIDEGATE_PAYLOAD_HEAD_H

#include "heads.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set by the loader */
} heads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct tg_head_service);
	__type(value, struct tg_head_want);
} head_wants SEC(".maps");

/* Where a packet's context comes from. */
enum tg_hook { TG_HOOK_XDP, TG_HOOK_SKB };

/* A head on its way into the ring. */
struct tg_head_space {
	struct tg_head head;
	tg_u8 payload[TG_HEAD_MAX_OCTETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_head_space);
} head_spaces SEC(".maps");

/* How many octets of this payload its entry still has to keep. */
static __always_inline tg_u32 tg_kept_octets(const struct tg_packet *packet, const struct tg_delta *e)
{
	tg_u32 count = packet->payload;

	if (tg_has_head(e, packet->direction & 1))
		return 0;
	if (count > settings.head_bytes)
		count = settings.head_bytes;
	return count > TG_HEAD_BYTES ? 0 : count;
}

/* Copies `octets` octets of the payload. `hook` is a constant at every call: the verifier follows one way. */
static __always_inline long load_payload(void *context, enum tg_hook hook, tg_u32 offset, void *to,
					 tg_u32 octets)
{
	return hook == TG_HOOK_XDP ? bpf_xdp_load_bytes(context, offset, to, octets)
				   : bpf_skb_load_bytes(context, offset, to, octets);
}

static __attribute__((noinline)) int keep_head(void *context, enum tg_hook hook, struct tg_packet *packet,
					       struct tg_delta *e)
{
	tg_u32 count;

	if (!packet || !e)
		return 0;
	count = tg_kept_octets(packet, e);
	if (count == 0 || count > TG_HEAD_BYTES)
		return 0;
	return (int)load_payload(context, hook, packet->payload_offset, e->head[packet->direction & 1],
				 count);
}

/* Decides about a payload and prepares its head in the CPU's space. Returns the octets that the head
 * gets. */
static __attribute__((noinline)) int prepare_head(struct tg_packet *packet, struct tg_delta *e, tg_u32 cpu)
{
	struct tg_head_space *space = bpf_map_lookup_elem(&head_spaces, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_head_want *to, *from, *any = 0;
	struct tg_head_service service;
	tg_u32 octets;

	if (!packet || !e || !space || !state || !c || !tg_head_open(e, packet))
		return 0;
	service = tg_head_service_of(packet, 1);
	to = bpf_map_lookup_elem(&head_wants, &service);
	service = tg_head_service_of(packet, 0);
	from = bpf_map_lookup_elem(&head_wants, &service);
	if (!tg_head_named(to, from)) {
		service.port = TG_HEAD_PORT_ANY;
		any = bpf_map_lookup_elem(&head_wants, &service);
	}
	space->head.time_ns = state->now_ns;
	octets = tg_head_next(e, packet, to, from, any, &space->head);
	if (octets && state->overload.without_heads) {
		c->heads_withheld += tg_head_begun(e, packet) != 0;
		return 0;
	}
	return (int)octets;
}

static __attribute__((noinline)) int submit_head(tg_u32 cpu, tg_u32 octets)
{
	struct tg_head_space *space = bpf_map_lookup_elem(&head_spaces, &cpu);
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);

	if (!space || !c || octets > TG_HEAD_MAX_OCTETS)
		return 0;
	if (bpf_ringbuf_output(&heads, space, sizeof(struct tg_head) + octets, BPF_RB_NO_WAKEUP))
		c->heads_lost++;
	else
		c->heads_sent++;
	return 0;
}

/* Whether a payload in the middle of a stream is worth a head. */
static __attribute__((noinline)) int begins(void *context, enum tg_hook hook, struct tg_packet *packet,
					    struct tg_delta *e)
{
	tg_u8 first[8] = {};

	if (!packet || !e || load_payload(context, hook, packet->payload_offset, first, TG_HEAD_BEGINNING) ||
	    !tg_head_begins(first))
		return 0;
	tg_head_begin(e, packet);
	return 1;
}

static __attribute__((noinline)) int send_head(void *context, enum tg_hook hook, struct tg_packet *packet,
					       struct tg_delta *e)
{
	tg_u32 cpu = bpf_get_smp_processor_id(), octets = (tg_u32)prepare_head(packet, e, cpu);
	struct tg_head_space *space = bpf_map_lookup_elem(&head_spaces, &cpu);

	if (!space || octets == 0 || octets > TG_HEAD_MAX_OCTETS)
		return 0;
	if (!tg_head_begun(e, packet) && !begins(context, hook, packet, e))
		return 0;
	if (load_payload(context, hook, packet->payload_offset, space->payload, octets)) {
		struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);

		if (c)
			c->heads_cut++;
		return 0;
	}
	return submit_head(cpu, octets);
}

#endif
