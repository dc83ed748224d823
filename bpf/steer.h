/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steering in the XDP program, after metering: a flow's link is chosen once per cache residency and kept in
 * its entry; later packets cost a comparison and the rewritten frame. What cannot be sent from here, because
 * the neighbour is unknown or a queueing discipline must be passed, goes up with a mark, and gateway_steer
 * sends it by the kernel's stack. Whatever is in doubt is passed on unchanged: the routing table then
 * decides.
 *
 * Included by gateway.bpf.c; the layouts and the make-before-break that goes with this are in steer_abi.h.
 */
#ifndef TIDEGATE_STEER_H
#define TIDEGATE_STEER_H

#include "steer_choose.h"
#include "steer_link.h"

#define TG_ETHER_OCTETS 14
#define TG_MAC_MASK 0x0000ffffffffffffull

/* Hands a frame to gateway_steer with the number of its link. */
static __attribute__((noinline)) int steer_defer(struct xdp_md *context, tg_u32 number)
{
	struct tg_cpu_state *state = this_cpu_state();
	struct tg_steer_mark *mark;

	if (bpf_xdp_adjust_meta(context, -(int)sizeof(*mark)))
		return XDP_PASS;
	mark = (void *)(long)context->data_meta;
	if ((void *)(mark + 1) > (void *)(long)context->data)
		return XDP_PASS;
	mark->magic = TG_STEER_MAGIC;
	mark->link = number;
	if (state)
		state->steer.deferred++;
	return XDP_PASS;
}

/* One hop less to live; the checksum follows (RFC 1624, with the one-octet case of RFC 1141). */
static __always_inline void steer_age(tg_u8 *ip, int ipv4)
{
	if (ipv4) {
		tg_u16 *checksum = (tg_u16 *)(ip + 10);
		tg_u32 sum = (tg_u32)*checksum + 0x0001; /* 0x0100 in network order */

		*checksum = (tg_u16)(sum + (sum >= 0xffff));
		ip[8]--;
	} else {
		ip[7]--;
	}
}

/*
 * Decides where a packet goes. `e` is its flow's entry, or 0 when the packet was not metered by one of its
 * own; `state` is this CPU's. Called only where steering was asked for when the program was loaded; with
 * nothing to steer it costs one load. A global function: the verifier looks at it once, not once for every
 * way in which a packet was metered.
 */
__attribute__((noinline)) int steer(struct xdp_md *context, const struct tg_packet *packet,
				    struct tg_delta *e, struct tg_cpu_state *state)
{
	const struct tg_steer_control *control = &steer_tables.control;
	const struct tg_steer_ingress *ingress =
	    &steer_tables.ingress[context->ingress_ifindex % TG_INTERFACE_SLOTS];
	tg_u32 number, tag = 0, choice = 0;
	struct tg_steer_link *link;
	tg_u8 *data, *end, taken;
	tg_u64 *words;
	int family;

	if (!packet || !state || !control->generation)
		return XDP_PASS;
	if (e) {
		if (e->reason != (tg_u8)control->generation)
			steer_decide(packet, e, context->ingress_ifindex);
		taken = e->link;
	} else {
		tag = (tg_u32)(tg_hash(&packet->key, settings.secret) >> 32) | 1;
		choice = steer_choose(packet, tag, 0, steer_rule_for(&packet->key), context->ingress_ifindex);
		taken = STEER_CHOICE_LINK(choice);
	}
	if (!(taken & (packet->direction & 1 ? TG_STEERED_DOWN : TG_STEERED_UP)))
		return XDP_PASS;
	if (control->deadman_ns && state->now_ns > control->heartbeat_ns &&
	    state->now_ns - control->heartbeat_ns > control->deadman_ns) {
		state->steer.asleep++;
		return XDP_PASS;
	}
	number = taken & TG_STEERED_LINK;
	link = &steer_tables.links[number];
	family = packet->key.kind == TG_KIND_IPV6;
	if (link->checked != state->jiffies)
		steer_resolve(context, number, state->jiffies);
	if (link->state[family] == TG_LINK_DOWN) {
		number =
		    steer_other(context, e ? e->tag : tag, e ? e->rule : STEER_CHOICE_RULE(choice), family);
		if (!number)
			return XDP_PASS;
		if (e)
			e->link = (taken & ~TG_STEERED_LINK) | (tg_u8)number;
		link = &steer_tables.links[number];
	}
	data = (tg_u8 *)(long)context->data;
	end = (tg_u8 *)(long)context->data_end;
	if (data + TG_ETHER_OCTETS + 20 > end || (family && data + TG_ETHER_OCTETS + 40 > end))
		return XDP_PASS;
	words = (tg_u64 *)data;
	/* Only what is addressed to this interface: never what a mirror or a bridge shows us, nor broadcasts.
	 */
	if (ingress->ifindex != context->ingress_ifindex || (words[0] & TG_MAC_MASK) != ingress->mac)
		return XDP_PASS;
	if (*(tg_u16 *)(data + 12) != (family ? TG_BE16(TG_ETHERTYPE_IPV6) : TG_BE16(TG_ETHERTYPE_IPV4)))
		return XDP_PASS;
	/* What must be answered by ICMP, and options that routers look at, are the stack's. */
	if (packet->ttl <= 1 || (!family && data[14] != 0x45) || packet->octets > link->mtu[family])
		return XDP_PASS;
	/* A frame in several buffers is the stack's too: not every NIC sends such a one from XDP. */
	if (link->state[family] == TG_LINK_DEFERRED || (tg_u32)(end - data) < packet->octets)
		return steer_defer(context, number);
	steer_age(data + TG_ETHER_OCTETS, !family);
	words[0] = link->mac[family][1] | link->mac[family][0] << 48;
	*(tg_u32 *)(data + 8) = (tg_u32)(link->mac[family][0] >> 16);
	state->steer.redirected++;
	/* An interface that vanished is in no devmap any more: then the routing table decides, one hop short.
	 */
	return (int)bpf_redirect_map(&steer_devices, number, XDP_PASS);
}

/* On ingress of each interface, behind XDP: sends what XDP could only mark. */
SEC("tc")
int gateway_steer(struct __sk_buff *skb)
{
	struct tg_steer_mark *mark = (void *)(long)skb->data_meta;
	tg_u8 *data = (tg_u8 *)(long)skb->data, *end = (tg_u8 *)(long)skb->data_end;
	struct bpf_redir_neigh hop = {};
	const struct tg_steer_link *link;
	int ipv4;

	if ((tg_u8 *)(mark + 1) > data || mark->magic != TG_STEER_MAGIC)
		return -1; /* TCX_NEXT: not ours */
	link = &steer_tables.links[mark->link & TG_STEERED_LINK];
	mark->magic = 0;
	if (data + TG_ETHER_OCTETS + 20 > end)
		return -1;
	ipv4 = data[12] == 0x08;
	if (ipv4) {
		hop.nh_family = TG_AF_INET;
		hop.ipv4_nh = link->next_hop_ipv4;
	} else {
		hop.nh_family = TG_AF_INET6;
		__builtin_memcpy(hop.ipv6_nh, link->next_hop_ipv6, 16);
	}
	steer_age(data + TG_ETHER_OCTETS, ipv4);
	return (int)bpf_redirect_neigh(link->ifindex, &hop, sizeof(hop), 0);
}

#endif
