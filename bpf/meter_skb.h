/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Metering where there are socket buffers: gateway_egress on the tc egress hook, for what this host itself
 * sends, and gateway_ingress on the tc ingress hook of an interface whose XDP hook is somebody else's, for
 * what that one lets pass. Included by gateway.bpf.c.
 *
 * The flow caches are shared with XDP. That is safe: the hooks run with bottom halves disabled
 * (__dev_queue_xmit, __netif_receive_skb), so on one CPU they exclude XDP, the sweep timer and one another.
 *
 * Forwarded packets came in somewhere and were metered there, or nobody asked for it; on egress their
 * ingress_ifindex tells. A packet that passes several metered devices (a VLAN on a bond on a NIC) is marked
 * in tc_index and metered at the first. What segmentation offload or GRO put together counts as the packets
 * that are on the wire.
 */
#ifndef TIDEGATE_METER_SKB_H
#define TIDEGATE_METER_SKB_H

#ifndef TCX_NEXT
#define TCX_NEXT -1
#endif
#define TG_EGRESS_METERED 0x7467
#define TG_INGRESS_METERED 0x7468
#define TG_MAX_SEGMENTS 65536

/* A CPU's packet on its way through its segments: too large for the stack. */
struct skb_space {
	struct tg_packet packet;
	tg_u32 headers;		/* octets of each segment that are not payload */
	tg_u32 left;		/* payload that the segments so far did not carry */
	tg_u32 size;		/* payload of a segment */
	tg_u32 flags;		/* TCP, of the whole */
	tg_u32 ingress_ifindex; /* 0: sent by this host itself */
	tg_u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct skb_space);
} skb_spaces SEC(".maps");

/* Also where headers are not in the linear part of a socket buffer. */
__attribute__((noinline)) int tg_parse_slow_skb(struct __sk_buff *skb, struct tg_packet *packet)
{
	tg_u64 window[TG_WINDOW_WORDS];
	struct tg_frame frame = {
	    .wire_octets = skb->len,
	    .tunnels = TG_PARSE_OPTIONS,
	    .skb = skb,
	    .window = (tg_u8 *)window,
	};

	if (packet)
		tg_parse_frame(&frame, packet);
	return 0;
}

static __always_inline void skb_parse(struct __sk_buff *skb, struct tg_packet *packet)
{
	struct tg_frame frame = {
	    .data = (const tg_u8 *)(long)skb->data,
	    .data_end = (const tg_u8 *)(long)skb->data_end,
	    .wire_octets = skb->len,
	    .tunnels = TG_PARSE_OPTIONS,
	};

	if (!tg_parse_quick(&frame, packet))
		tg_parse_slow_skb(skb, packet);
	if (skb->vlan_present) {
		packet->key.inner_vlan = packet->key.vlan;
		packet->key.vlan = skb->vlan_tci & 0x0fff;
	}
}

/* Not inlined: it is called for a packet's first segment and for all others. */
static __attribute__((noinline)) struct tg_delta *skb_count(struct skb_space *space, tg_u32 cpu)
{
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);

	if (!c || !state || !space)
		return 0;
	if (!space->ingress_ifindex)
		c->egress_packets++;
	return count_packet(&space->packet, cpu, space->ingress_ifindex, state, c);
}

/* FIN and PSH are the last segment's, CWR the first's (RFC 3168). */
static long skb_segment(tg_u64 i, void *unused)
{
	tg_u32 cpu = bpf_get_smp_processor_id(), payload;
	struct skb_space *loop = bpf_map_lookup_elem(&skb_spaces, &cpu);
	struct tg_packet *packet;

	if (!loop)
		return 1;
	packet = &loop->packet;
	payload = loop->left < loop->size ? loop->left : loop->size;
	loop->left -= payload;
	packet->payload = (tg_u16)payload;
	packet->octets = loop->headers + payload;
	packet->flags = loop->flags & (tg_u8) ~(TG_TCP_CWR | (loop->left ? TG_TCP_FIN | TG_TCP_PSH : 0));
	skb_count(loop, cpu);
	return 0;
}

static __always_inline void meter_skb(struct __sk_buff *skb, tg_u32 ingress_ifindex)
{
	tg_u32 cpu = bpf_get_smp_processor_id(), segments = skb->gso_segs, payload, slot;
	struct skb_space *loop = bpf_map_lookup_elem(&skb_spaces, &cpu);
	struct tg_cpu_state *state = bpf_map_lookup_elem(&cpu_states, &cpu);
	struct tg_interface_counters *at;
	struct tg_packet *packet;
	struct tg_delta *entry;

	slot = cpu * TG_INTERFACE_SLOTS + skb->ifindex % TG_INTERFACE_SLOTS;
	at = bpf_map_lookup_elem(&interface_counters, &slot);
	if (!state || !at || !loop)
		return;
	packet = &loop->packet;
	tg_clock_read(state);
	skb_parse(skb, packet);
	if (packet->fragment)
		follow_fragments(packet);
	payload = packet->payload;
	loop->size = skb->gso_size;
	loop->flags = packet->flags;
	loop->headers = packet->octets - payload;
	loop->ingress_ifindex = ingress_ifindex;
	if (segments <= 1 || segments > TG_MAX_SEGMENTS || loop->size == 0 || payload <= loop->size)
		segments = 1;
	if (ingress_ifindex) {
		at->packets += segments;
		at->octets += packet->octets + (segments - 1) * (tg_u64)loop->headers;
	} else {
		at->tx_packets += segments;
		at->tx_octets += packet->octets + (segments - 1) * (tg_u64)loop->headers;
	}
	if (segments > 1) {
		packet->payload = (tg_u16)loop->size;
		packet->octets = loop->headers + loop->size;
		packet->flags &= (tg_u8) ~(TG_TCP_FIN | TG_TCP_PSH);
		loop->left = payload - loop->size;
	}
	entry = skb_count(loop, cpu);
	if (entry) {
		tg_u16 first = packet->payload;

		packet->payload = (tg_u16)payload;
		if (settings.head_bytes && payload && !state->overload.without_heads)
			keep_head(skb, TG_HOOK_SKB, packet, entry);
		if (settings.heads && tg_head_open(entry, packet))
			send_head(skb, TG_HOOK_SKB, packet, entry);
		packet->payload = first;
	}
	if (segments > 1)
		bpf_loop(segments - 1, skb_segment, 0, 0);
}

SEC("tc")
int gateway_egress(struct __sk_buff *skb)
{
	if (skb->ingress_ifindex == 0 && skb->tc_index != TG_EGRESS_METERED) {
		skb->tc_index = TG_EGRESS_METERED;
		meter_skb(skb, 0);
	}
	return TCX_NEXT;
}

SEC("tc")
int gateway_ingress(struct __sk_buff *skb)
{
	if (skb->tc_index != TG_INGRESS_METERED) {
		skb->tc_index = TG_INGRESS_METERED;
		meter_skb(skb, skb->ifindex);
	}
	return TCX_NEXT;
}

#endif
