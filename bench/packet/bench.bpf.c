/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What `tidegate bench packet` runs through BPF_PROG_TEST_RUN. Every program first rewrites the frame's
 * addresses and port from a trace of flow numbers, and then does its work:
 *
 *   bench_drop            nothing: the floor that all of them stand on
 *   bench_parse           the parser as shipped, its result kept
 *   bench_hash_spinlock   the conventional design: one shared hash map of flows, 256-byte values, a spin lock
 *                         around the update, the clock read for each packet; parser and facts are the same
 *   bench_tidegate        the meter as shipped, compiled from the same file
 *   bench_tidegate_steer  the same, and each packet is given its link and made ready to be sent by it
 */
/* Runs of 64 packets, a NIC's usual budget. What the real test reads is still read, so its cost stays in. */
#define TG_RUN_STARTED(state, detected)                                                                      \
	({                                                                                                   \
		int started = (detected);                                                                    \
		asm volatile("" : "+r"(started));                                                            \
		started = ((state)->reserved[0]++ & 63) == 0;                                                \
		started;                                                                                     \
	})

#define TG_BENCH
#include "../../bpf/gateway.bpf.c"

#define TRACE_PACKETS (1 << 20) /* a power of two */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRACE_PACKETS);
	__type(key, tg_u32);
	__type(value, tg_u64); /* flow numbers; an array's elements take eight bytes anyway */
} trace SEC(".maps");

/* One writer: the CPU that the bench is pinned to. */
struct bench_cursor {
	tg_u64 position;
	tg_u64 sink; /* keeps the compiler from dropping work whose result nobody needs */
	tg_u64 near; /* interface that bench_live sends by */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct bench_cursor);
} cursor SEC(".maps");

struct locked_flow {
	struct bpf_spin_lock lock; /* first: the verifier wants it at a known offset */
	tg_u8 state, ttl_min, ttl_max, tos;
	tg_u64 first_ns, last_ns[2];
	tg_u32 packets[2];
	tg_u64 octets[2];
	tg_u16 size_bins[2][TG_SIZE_BINS];
	tg_u16 iat_bins[2][TG_IAT_BINS];
	tg_u16 flag_counts[TG_FLAG_COUNTS];
	tg_s16 first_payload[TG_FIRST_PAYLOADS];
	tg_u16 window_min, window_max;
	tg_u32 ifindex;
	tg_u32 payload_count;
	tg_u32 reserved;
};
_Static_assert(sizeof(struct locked_flow) <= 256, "the reference's value");

struct locked_entry {
	struct locked_flow flow;
	tg_u8 padding[256 - sizeof(struct locked_flow)];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1200000);
	__type(key, struct tg_flow_key);
	__type(value, struct locked_entry);
} locked_flows SEC(".maps");

tg_u8 new_flow[256]; /* zeroed: the initial value of a flow, too large for the stack */

static __always_inline int next_frame(struct xdp_md *context)
{
	tg_u8 *data = (tg_u8 *)(long)context->data, *end = (tg_u8 *)(long)context->data_end;
	tg_u32 zero = 0, at, flow;
	tg_u64 *traced;
	struct bench_cursor *c = bpf_map_lookup_elem(&cursor, &zero);

	if (!c || data + 54 > end)
		return 0;
	at = c->position++ & (TRACE_PACKETS - 1);
	traced = bpf_map_lookup_elem(&trace, &at);
	if (!traced)
		return 0;
	flow = (tg_u32)*traced;
	/* The frame is the same memory each time: what steering wrote is undone, and costs every program the
	 * same. */
	*(tg_u64 *)data = 0x0202020000000002ull;
	*(tg_u32 *)(data + 8) = 0x01000000;
	data[22] = 64;
	*(tg_u32 *)(data + 26) = __builtin_bswap32(0x0a000000 | flow);
	*(tg_u16 *)(data + 34) = (tg_u16)(flow * 40503u) | 1;
	return 1;
}

SEC("xdp")
int bench_drop(struct xdp_md *context)
{
	next_frame(context);
	return XDP_DROP;
}

SEC("xdp")
int bench_parse(struct xdp_md *context)
{
	struct tg_frame frame = {.tunnels = settings.tunnels};
	struct tg_packet packet;
	tg_u32 zero = 0;
	struct bench_cursor *c = bpf_map_lookup_elem(&cursor, &zero);
	const tg_u64 *words = (const tg_u64 *)&packet;
	tg_u64 sum = 0;
	unsigned int i;

	if (!c || !next_frame(context))
		return XDP_ABORTED;
	frame.data = (const tg_u8 *)(long)context->data;
	frame.data_end = (const tg_u8 *)(long)context->data_end;
	frame.wire_octets = (tg_u32)(frame.data_end - frame.data);
	tg_parse(context, &frame, &packet);
	TG_UNROLL
	for (i = 0; i < sizeof(packet) / 8; i++)
		sum ^= words[i];
	c->sink += sum;
	return XDP_DROP;
}

static __always_inline void update_locked(struct locked_flow *f, const struct tg_packet *p, tg_u64 now)
{
	tg_u32 d = p->direction & 1, lut = p->octets >> 4, i;

	bpf_spin_lock(&f->lock);
	if (f->packets[d])
		f->iat_bins[d][tg_iat_bin((tg_u32)((now - f->last_ns[d]) >> TG_TICK_SHIFT)) & 15]++;
	else if (!f->first_ns)
		f->first_ns = now;
	f->last_ns[d] = now;
	f->packets[d]++;
	f->octets[d] += p->octets;
	f->size_bins[d][settings.size_lut[lut > TG_SIZE_LUT - 1 ? TG_SIZE_LUT - 1 : lut] & 15]++;
	if (p->ttl < f->ttl_min)
		f->ttl_min = p->ttl;
	if (p->ttl > f->ttl_max)
		f->ttl_max = p->ttl;
	f->tos = p->tos;
	if (p->payload && f->payload_count < TG_FIRST_PAYLOADS) {
		f->first_payload[f->payload_count & (TG_FIRST_PAYLOADS - 1)] = (tg_s16)p->payload;
		f->payload_count++;
	}
	if (p->is_tcp) {
		TG_UNROLL
		for (i = 0; i < TG_FLAG_COUNTS; i++)
			f->flag_counts[i] += p->flags >> i & 1;
		if (p->window < f->window_min)
			f->window_min = p->window;
		if (p->window > f->window_max)
			f->window_max = p->window;
	}
	bpf_spin_unlock(&f->lock);
}

SEC("xdp")
int bench_hash_spinlock(struct xdp_md *context)
{
	struct tg_frame frame = {.tunnels = settings.tunnels};
	struct tg_packet packet;
	struct locked_entry *entry;
	tg_u32 cpu = bpf_get_smp_processor_id();
	struct tg_counters *c = bpf_map_lookup_elem(&counters, &cpu);

	if (!c || !next_frame(context))
		return XDP_ABORTED;
	frame.data = (const tg_u8 *)(long)context->data;
	frame.data_end = (const tg_u8 *)(long)context->data_end;
	frame.wire_octets = (tg_u32)(frame.data_end - frame.data);
	tg_parse(context, &frame, &packet);
	if (packet.fragment)
		follow_fragments(&packet);
	tg_count_packet(c, &packet);
	entry = bpf_map_lookup_elem(&locked_flows, &packet.key);
	if (!entry) {
		bpf_map_update_elem(&locked_flows, &packet.key, new_flow, BPF_NOEXIST);
		entry = bpf_map_lookup_elem(&locked_flows, &packet.key);
		if (!entry)
			return XDP_ABORTED;
	}
	update_locked(&entry->flow, &packet, bpf_ktime_get_ns());
	return XDP_DROP;
}

SEC("xdp")
int bench_tidegate(struct xdp_md *context)
{
	struct tg_packet packet;

	if (!next_frame(context))
		return XDP_ABORTED;
	meter(context, &packet, 0, this_cpu_state());
	return XDP_DROP;
}

SEC("xdp")
int bench_tidegate_steer(struct xdp_md *context)
{
	struct tg_cpu_state *state = this_cpu_state();
	struct tg_packet packet;
	struct tg_delta *entry;

	if (!next_frame(context))
		return XDP_ABORTED;
	entry = meter(context, &packet, 0, state);
	return steer(context, &packet, entry, state) == XDP_REDIRECT ? XDP_DROP : XDP_ABORTED;
}

/* Live frames: every packet goes out by a veth device, at whose other end one of the programs above runs. */
SEC("xdp")
int bench_live(struct xdp_md *context)
{
	tg_u32 zero = 0;
	struct bench_cursor *c = bpf_map_lookup_elem(&cursor, &zero);

	return c ? (int)bpf_redirect((tg_u32)c->near, 0) : XDP_ABORTED;
}
