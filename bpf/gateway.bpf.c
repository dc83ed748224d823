/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel side of the meter.
 *   1. gateway_xdp parses each packet and adds it to this CPU's flow cache; the packet goes on to the stack,
 * or by the link that steering (steer.h) gave its flow.
 *   2. What leaves the cache is a delta record on this CPU's own ring buffer.
 *   3. gateway_egress does the same for what this host itself sends, and gateway_ingress for what
 * another XDP program lets pass (meter_skb.h).
 *   4. A timer pinned to each CPU makes silent entries leave; gateway_flush makes all of them leave.
 * XDP, tc programs and pinned timers all run with bottom halves disabled, so on one CPU they never interrupt
 * each other: nobody else writes this CPU's entries (not true on PREEMPT_RT, which the loader refuses). Every
 * packet ends in exactly one kind_* counter, and rx_packets = exported + ring_lost
 * + sampled_out + resident.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "export.h"
#include "flow_cache.h"
#include "kernel_clock.h"
#include "payload_head.h"
#include "sweep.h"
#include "overloaded.h"

/* A frame that lies in several buffers, of which only the first can be read in place. */
__attribute__((noinline)) int tg_parse_straddling(struct xdp_md *context, struct tg_packet *packet)
{
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	tg_u64 window[TG_WINDOW_WORDS];
	struct tg_frame frame = {.tunnels = TG_PARSE_OPTIONS, .xdp = context, .window = (tg_u8 *)window};

	if (!packet || !c)
		return 0;
	c->multi_buffer++;
	frame.wire_octets = (tg_u32)bpf_xdp_get_buff_len(context);
	tg_parse_frame(&frame, packet);
	return 0;
}

__attribute__((noinline)) int tg_parse_slow(struct xdp_md *context, struct tg_packet *packet)
{
	struct tg_frame frame = {
	    .data = (const tg_u8 *)(long)context->data,
	    .data_end = (const tg_u8 *)(long)context->data_end,
	    .tunnels = TG_PARSE_OPTIONS,
	};

	if (!packet)
		return 0;
	frame.wire_octets = (tg_u32)bpf_xdp_get_buff_len(context);
	if (frame.wire_octets > (tg_u32)(frame.data_end - frame.data))
		return TG_PARSE_STRADDLES;
	tg_parse_frame(&frame, packet);
	return 0;
}

static __attribute__((noinline)) void follow_fragments(struct tg_packet *packet)
{
	struct tg_fragment_key key;

	tg_fragment_key_of(packet, &key);
	if (packet->fragment == TG_FRAGMENT_FIRST) {
		struct tg_fragment_ports ports = {packet->key.lower_port, packet->key.upper_port};

		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
	} else {
		tg_fragment_complete(packet, bpf_map_lookup_elem(&fragments, &key));
	}
}

#include "steer.h"

/* Adds a parsed packet to its flow. The flow's entry, or 0 when the packet could not be metered. */
static __always_inline struct tg_delta *count_packet(struct tg_packet *packet, tg_u32 cpu, tg_u32 ifindex,
						     struct tg_cpu_state *state, struct tg_counters *c)
{
	struct tg_cache cache = {.cpu = cpu, .base = cpu * (settings.mask + 1)};
	tg_u32 now = (tg_u32)(state->now_ns >> TG_TICK_SHIFT);
	struct tg_delta *entry;
	int fresh;

	tg_count_packet(c, packet);
	entry = tg_cache_find(&cache, packet, now, &settings, c, &fresh);
	if (!entry) {
		c->unmetered_packets++;
		c->unmetered_octets += packet->octets;
	} else if (*(tg_u64 *)&state->overload) {
		count_overloaded(packet, entry, cpu, ifindex, fresh);
	} else if (fresh) {
		tg_apply(entry, packet, now, ifindex, &settings, 1);
	} else {
		tg_add(&cache, entry, packet, now, ifindex, &settings, settings.export_ticks, c);
	}
	return entry;
}

/*
 * Meters one packet, of which *packet tells more than the flow's entry; the entry, or 0 when the packet could
 * not be metered. `vlan_tci` is the tag that the NIC took off the frame, 0 none. The bench runs this same
 * body inside its own program.
 */
static __always_inline struct tg_delta *meter(struct xdp_md *context, struct tg_packet *packet,
					      tg_u16 vlan_tci, struct tg_cpu_state *state)
{
	struct tg_frame frame = {
	    .data = (const tg_u8 *)(long)context->data,
	    .data_end = (const tg_u8 *)(long)context->data_end,
	    .tunnels = TG_PARSE_OPTIONS,
	};
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_delta *entry;
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);
	tg_u32 slot = cpu * TG_INTERFACE_SLOTS + context->ingress_ifindex % TG_INTERFACE_SLOTS;
	struct tg_interface_counters *at = bpf_map_lookup_elem(&interface_counters, &slot);

	if (!c || !at || !state)
		return 0;
	if (tg_clock(state, clock_packets) && sweep_per_batch)
		sweep(state, cpu, sweep_per_batch);
	frame.wire_octets = (tg_u32)(frame.data_end - frame.data);
	tg_parse(context, &frame, packet);
	if (vlan_tci) {
		packet->key.inner_vlan = packet->key.vlan;
		packet->key.vlan = vlan_tci & 0x0fff;
	}
	if (packet->fragment)
		follow_fragments(packet);
	at->packets++;
	at->octets += packet->octets;
	entry = count_packet(packet, cpu, context->ingress_ifindex, state, c);
	if (entry && settings.head_bytes && packet->payload && !state->overload.without_heads)
		keep_head(context, TG_HOOK_XDP, packet, entry);
	if (entry && settings.heads && tg_head_open(entry, packet))
		send_head(context, TG_HOOK_XDP, packet, entry);
	return entry;
}

#ifndef TG_BENCH /* which has programs of its own around the same bodies */
SEC("xdp.frags")
int gateway_xdp(struct xdp_md *context)
{
	struct tg_packet packet;
	struct tg_cpu_state *state = this_cpu_state();
	struct tg_delta *entry = meter(context, &packet, 0, state);

	return steering ? steer(context, &packet, entry, state) : XDP_PASS;
}

/* Linux 6.8, of drivers that have it. */
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *context, __be16 *protocol,
					tg_u16 *tci) __ksym __weak;

/*
 * The same where the NIC takes VLAN tags off: the tag is asked for. The kernel allows that to programs only
 * that are loaded for one device, so each such NIC gets a program of its own; the maps are shared.
 */
SEC("xdp.frags")
int gateway_xdp_tagged(struct xdp_md *context)
{
	struct tg_packet packet;
	struct tg_cpu_state *state = this_cpu_state();
	struct tg_delta *entry;
	__be16 protocol;
	tg_u16 tci = 0;

	if (bpf_xdp_metadata_rx_vlan_tag(context, &protocol, &tci))
		tci = 0;
	entry = meter(context, &packet, tci, state);
	/* What is sent by XDP would lose its tag. */
	return steering && !tci ? steer(context, &packet, entry, state) : XDP_PASS;
}
#endif

#include "meter_skb.h"

/* The licence that the kernel checks; see LICENSE.GPL-2.0 and LICENSE.BSD-2-Clause. */
char gateway_license[] SEC("license") = "Dual BSD/GPL";
