/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every layout that the kernel programs share with user space. The kernel, the addon, replay and the fuzzers
 * compile these same lines; sizes and offsets are asserted here and compared with the object's BTF in a test.
 *
 * Words: a *flow key* names one bidirectional flow in canonical order ("lower" endpoint < "upper" endpoint by
 * (address, port)); *direction* 0 is lower -> upper, 1 is upper -> lower. A *delta record* is what one cache
 * residency (or a part of it) added to a flow: all counters are additive, minima, maxima and times merge.
 */
#ifndef TIDEGATE_FLOW_ABI_H
#define TIDEGATE_FLOW_ABI_H

#ifdef __bpf__
#include <linux/types.h>
typedef __u8 tg_u8;
typedef __u16 tg_u16;
typedef __s16 tg_s16;
typedef __u32 tg_u32;
typedef __u64 tg_u64;
#else
#include <stdint.h>
typedef uint8_t tg_u8;
typedef uint16_t tg_u16;
typedef int16_t tg_s16;
typedef uint32_t tg_u32;
typedef uint64_t tg_u64;
#endif

#ifdef __cplusplus
#define TG_STATIC_ASSERT(condition, words) static_assert(condition, words)
#else
#define TG_STATIC_ASSERT(condition, words) _Static_assert(condition, words)
#endif

/*
 * Bumped whenever a layout below or the set of pinned maps changes; part of the pin directory's name. A
 * process that finds the pins of another version drains them (native/src/predecessor.h): it finds fields by
 * their names in the BTF of the maps, so a field that changes its meaning gets another name. What may never
 * change, because it is read without BTF: struct tg_pinned_layout, the counters of TG_LASTING_COUNTERS and
 * struct tg_user_state up to `counters`.
 */
#ifndef TG_ABI_VERSION
#define TG_ABI_VERSION 4
#endif

/* What the pins say of themselves, in a map of its own (`layout`). Versions up to 3 had none. */
#define TG_LAYOUT_MAGIC 0x74756f79616c6774ull /* "tglayout" */
#define TG_RECORDS_FIXED 1 /* every record of a ring of deltas is one struct `record`, field by field */

struct tg_pinned_layout {
	tg_u64 magic;
	tg_u32 version;	      /* TG_ABI_VERSION */
	tg_u32 record_format; /* TG_RECORDS_* */
	char entry[24];	      /* name of the cache entry's struct, for its BTF */
	char record[24];      /* of the ring record's */
};
TG_STATIC_ASSERT(sizeof(struct tg_pinned_layout) == 64, "pinned layout");

#define TG_SIZE_BINS 16
#define TG_IAT_BINS 16
#define TG_FLAG_COUNTS                                                                                       \
	8 /* FIN SYN RST PSH ACK URG ECE CWR: the order of the bits in the TCP header, RFC 9293 */
#define TG_FIRST_PAYLOADS 8
#define TG_HEAD_BYTES 16

/* What kind of packets a key stands for. A packet that cannot be read further still belongs to a flow record:
 * one that is keyed by why. So nothing is lost by being strange. */
enum tg_flow_kind {
	TG_KIND_NON_IP = 0, /* lower_port = EtherType, addresses zero */
	TG_KIND_IPV4 = 4,   /* addresses are IPv4-mapped IPv6, RFC 4291 2.5.5.2 */
	TG_KIND_IPV6 = 6,   /*  */
	TG_KIND_FRAGMENT =
	    8, /* later fragment whose first was never seen: addresses and protocol, ports zero */
	TG_KIND_UNPARSED = 9, /* lower_port = enum tg_unparsed, upper_port = EtherType as far as known */
};

/* Why a packet could not be read to the end of its transport header. */
enum tg_unparsed {
	TG_UNPARSED_NONE = 0,
	TG_UNPARSED_SHORT_ETHERNET, /* frame shorter than an Ethernet header */
	TG_UNPARSED_SHORT_VLAN,
	TG_UNPARSED_SHORT_IP,	     /* IP header cut off */
	TG_UNPARSED_BAD_IP_HEADER,   /* version or header length that cannot be */
	TG_UNPARSED_SHORT_EXTENSION, /* IPv6 extension header cut off */
	TG_UNPARSED_DEEP_EXTENSION,  /* more extension headers or encapsulations than the bound */
	TG_UNPARSED_SHORT_TRANSPORT, /* TCP/UDP/SCTP/ICMP header cut off */
	TG_UNPARSED_BAD_TCP_HEADER,  /* data offset below 5 */
	TG_UNPARSED_SHORT_TUNNEL,    /* tunnel, PPPoE or MPLS header cut off */
	TG_UNPARSED_LINK_TYPE,	     /* replay only: a capture's link type that is not supported */
	TG_UNPARSED_REASONS
};

/* 48 bytes, host byte order for numbers, network order for addresses. Every byte is defined (zero if unused).
 */
struct tg_flow_key {
	tg_u8 lower_address[16];
	tg_u8 upper_address[16];
	tg_u16 lower_port; /* ICMP: type << 8 | code on the side that sent the request, 0 on the other */
	tg_u16 upper_port;
	tg_u8 protocol;	  /* IANA protocol number */
	tg_u8 kind;	  /* enum tg_flow_kind */
	tg_u16 vlan;	  /* outer 802.1Q VLAN identifier, 0 none */
	tg_u32 tunnel_id; /* VNI, GRE key, TEID; 0 none */
	tg_u16 inner_vlan;
	tg_u16 tunnel_kind; /* 0 none; else UDP port or IP protocol of the tunnel that was entered */
} __attribute__((aligned(8)));
TG_STATIC_ASSERT(sizeof(struct tg_flow_key) == 48, "flow key layout");

/* Why a delta record left the cache. */
enum tg_reason {
	TG_REASON_EVICT = 1,	/* another flow needed the slot */
	TG_REASON_OVERFLOW = 2, /* an 8-bit counter was about to overflow; the flow stays resident */
	TG_REASON_AGE = 3,	/* resident longer than the export interval; the flow stays resident */
	TG_REASON_IDLE = 4,	/* swept after silence */
	TG_REASON_FLUSH = 5,	/* asked for by user space */
};

/* tg_delta.state */
#define TG_STATE_SYN_LOWER 0x01 /* a SYN without ACK was sent by the lower endpoint */
#define TG_STATE_SYN_UPPER 0x02
#define TG_STATE_SYNACK 0x04
#define TG_STATE_FIRST_UPPER 0x08 /* the first packet of this residency came from the upper endpoint */
#define TG_STATE_FIN_LOWER 0x10
#define TG_STATE_FIN_UPPER 0x20
#define TG_STATE_RST 0x40
#define TG_STATE_CONTINUES                                                                                   \
	0x80 /* the flow stays resident after this record: the next gap is counted in the kernel */

/* tg_delta.seen, besides bit d of each direction: not one flow but all new ones of a pair of prefixes, whose
 * hosts and ports are zero (overload step "aggregate mice"). */
#define TG_SEEN_FOLDED 0x80
/* In an entry's `seen`, shifted by the direction: heads are sent although no SYN was seen, see heads.h. */
#define TG_SEEN_BEGUN 0x04

/* A time is ns >> 10 in 32 bits ("ticks", 1.024 us; wraps in 73 minutes, user space extends it). */
#define TG_TICK_SHIFT 10

/*
 * One cache entry and, byte for byte, one delta record: 256 bytes in four cache lines, hottest first.
 * Index [0] = lower -> upper, [1] = upper -> lower.
 */
struct tg_delta {
#ifdef TG_TRIAL_LAYOUT /* another layout on purpose, for the test that drains it */
	tg_u64 trial[8];
#endif
	/* line 0: every packet */
	/* entry: hash tag, 0 = free slot; record: number of this delta on this CPU. A delta that found the
	 * ring full has used its number up, so gaps in what arrives must equal ring_lost_records. */
	tg_u32 tag;
	tg_u32 last_tick[2]; /* last packet in each direction; meaningful when packets[d] > 0 or the flow
				continues */
	tg_u16 packets[2];
	tg_u32 octets[2];    /* IP total length summed (RFC 5102 octetDeltaCount); frame length for non-IP */
	tg_u8 state;	     /* TG_STATE_* */
	tg_u8 payload_count; /* how many of first_payload are filled in this record */
	tg_u8 seen;   /* bit d: direction d had a packet in this residency, so its next gap is counted here */
	tg_u8 link;   /* steering: the link's number, and the directions that take it (steer_abi.h); 0 none */
	tg_u16 rule;  /* steering: number of the rule, 0 none */
	tg_u8 reason; /* record: enum tg_reason; entry: generation of the steering decision, 0 none */
	tg_u8 cpu;    /* record: low 8 bits of the CPU that metered it; entry: payload heads, see heads.h */
	tg_u8 size_bins[2][TG_SIZE_BINS]; /* by IP total length (frame length for non-IP) */
	/* line 1 */
	tg_u8 iat_bins[2][TG_IAT_BINS]; /* gap to the previous packet of the same direction, see tg_iat_bin */
	tg_u8 flag_counts[2][TG_FLAG_COUNTS];
	tg_s16 first_payload[TG_FIRST_PAYLOADS]; /* transport payload lengths, non-empty only; negative =
						    upper -> lower */
	/* line 2 */
	struct tg_flow_key key;
	tg_u8 ttl_min[2], ttl_max[2]; /* min starts at 255, max at 0 */
	tg_u16 window_min[2], window_max[2];
	tg_u32 rtt_tick; /* TCP handshake: SYN to the ACK that completes it, in ticks; 0 unknown */
	/* line 3 */
	tg_u32 first_tick[2]; /* first packet of this record in each direction; valid when packets[d] > 0 */
#ifdef TG_TRIAL_LAYOUT
	tg_u16 ingress_ifindex[2];
#else
	tg_u32 ingress_ifindex[2];
#endif
	tg_u16 mss[2];	       /* TCP MSS option, 0 unseen */
	tg_u8 window_scale[2]; /* TCP window scale + 1, 0 unseen */
	tg_u8 tos[2];
	tg_u32 syn_tick;   /* entry only: when the SYN was seen */
	tg_u32 entry_tick; /* entry: when this residency (or its part after an export) began; record: one in
			      so many packets was metered when it left (samplingPacketInterval), 1 = all */
	tg_u8 head[2][TG_HEAD_BYTES]; /* first payload bytes of each direction when configured, else zero */
} __attribute__((aligned(8)));
#ifndef TG_TRIAL_LAYOUT
TG_STATIC_ASSERT(sizeof(struct tg_delta) == 256, "delta record layout");
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_delta, size_bins) == 32, "line 0");
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_delta, iat_bins) == 64, "line 1");
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_delta, key) == 128, "line 2");
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_delta, first_tick) == 192, "line 3");
#endif

/*
 * Per-CPU counters, all monotonic u64. Conservation, exactly, whenever the CPU is quiet:
 *   rx_packets = sum of kind_*
 *              = exported_packets + ring_lost_packets + unmetered_packets + sampled_out_packets
 *                + packets resident in the cache.
 * `unmetered` are packets for which the cache itself could not be read: 0 in any correct set-up.
 */
#define TG_COUNTERS(X)                                                                                       \
	TG_LASTING_COUNTERS(X)                                                                               \
	X(folded_packets) /* metered under their prefixes instead of their flow */                           \
	X(egress_packets) /* sent by this host itself; part of rx_packets */                                 \
	X(multi_buffer)	  /* frames in more than one buffer; part of rx_packets */                           \
	X(heads_sent)                                                                                        \
	X(heads_lost)	  /* the ring of heads was full */                                                   \
	X(heads_withheld) /* wanted, but not sent because of overload */                                     \
	X(heads_cut)	  /* wanted, but the frame ends before */                                            \
	X(inserts)                                                                                           \
	X(evictions)                                                                                         \
	X(overflows)                                                                                         \
	X(aged)                                                                                              \
	X(idle_exports)                                                                                      \
	X(timer_ticks)

/* At the beginning of struct tg_counters in every version, in this order. */
#define TG_LASTING_COUNTERS(X)                                                                               \
	X(rx_packets)                                                                                        \
	X(rx_octets)                                                                                         \
	X(kind_ipv4)                                                                                         \
	X(kind_ipv6)                                                                                         \
	X(kind_non_ip)                                                                                       \
	X(kind_fragment)                                                                                     \
	X(kind_unparsed)                                                                                     \
	X(exported_records)                                                                                  \
	X(exported_packets)                                                                                  \
	X(exported_octets)                                                                                   \
	X(ring_lost_records)                                                                                 \
	X(ring_lost_packets)                                                                                 \
	X(ring_lost_octets)                                                                                  \
	X(unmetered_packets)                                                                                 \
	X(unmetered_octets)                                                                                  \
	X(sampled_out_packets)                                                                               \
	X(sampled_out_octets)

struct tg_counters {
#define TG_COUNTER_FIELD(name) tg_u64 name;
	TG_COUNTERS(TG_COUNTER_FIELD)
#undef TG_COUNTER_FIELD
	tg_u64 unparsed[16];	/* by enum tg_unparsed; sums to kind_unparsed */
} __attribute__((aligned(64))); /* no cache line belongs to two CPUs */

/* Per CPU and interface: slot = cpu * TG_INTERFACE_SLOTS + (ifindex % TG_INTERFACE_SLOTS). */
#define TG_INTERFACE_SLOTS 256

struct tg_interface_counters {
	tg_u64 packets; /* received */
	tg_u64 octets;
	tg_u64 tx_packets; /* sent by this host itself and metered on this interface */
	tg_u64 tx_octets;
};

/* What a CPU gives up when the reader cannot keep up; all zero = nothing. User space writes it, as one word.
 */
struct tg_overload {
	tg_u32 sampling;     /* one packet in so many is metered; 0 and 1 = all */
	tg_u8 timeout_shift; /* idle and export times are so many times doubled */
	tg_u8 without_heads; /* no payload heads */
	tg_u8 fold_new;	     /* a packet whose flow has no entry is metered under its prefixes */
	tg_u8 level;	     /* the step of the ladder that this is, for those who look */
};
TG_STATIC_ASSERT(sizeof(struct tg_overload) == 8, "overload word");

/* What steering did with packets and flows. */
struct tg_steer_counters {
	tg_u64 redirected; /* packets sent by XDP */
	tg_u64 deferred;   /* packets handed to the stack with the link's number */
	tg_u64 drained;	   /* flows that took another link because theirs was down */
	tg_u64 stranded;   /* packets that followed the routing table: no link of the rule was up */
	tg_u64 learned;	   /* flows that pinned themselves */
	tg_u64 unlearned;  /* flows that could not: the map is full */
	tg_u64 asleep;	   /* packets not steered because user space gave no sign of life */
	tg_u64 reserved;
};

/* What a CPU remembers between packets; cache lines of its own. */
struct tg_cpu_state {
	tg_u64 now_ns;	      /* the clock as this CPU's packets last saw it */
	tg_u64 jiffies;	      /* when that was */
	tg_u32 since;	      /* packets since then */
	tg_u32 sweep_cursor;  /* next cache slot to sweep */
	tg_u64 batches;	      /* runs of the NIC's poll loop that were recognised */
	tg_u32 ring_quarters; /* how full the ring was when last looked at */
	tg_u32 sampled;	      /* packets since the last one that sampling let through */
	struct tg_overload overload;
	tg_u32 reserved[4];
	struct tg_steer_counters steer;
};
TG_STATIC_ASSERT(sizeof(struct tg_cpu_state) == 128, "per-CPU state layout");

/* What the datapaths of other layouts had counted by the time they were drained. */
struct tg_retired {
	tg_u64 datapath; /* BPF id of the flow cache of the latest of them; 0 none */
	tg_u64 delivered_packets;
	tg_u64 delivered_octets;
	tg_u64 unread_packets; /* seen and not delivered, in a layout that could not be read */
	tg_u64 unread_octets;
	tg_u64 earlier; /* what `datapath` was in the latest's own */
	tg_u64 reserved[2];
	struct tg_counters counters; /* what was resident in their caches counts as exported */
};

/* What user space remembers across its own death, in the pinned maps user_state and reader_states. */
struct tg_user_state {
	tg_u64 delivered_packets; /* in batches that their consumer gave back */
	tg_u64 delivered_octets;
	tg_u64 starts;
	tg_u64 retired_current; /* retired[retired_current & 1]; the other one may be half written */
	tg_u64 reserved[4];
	struct tg_retired retired[2];
};
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_user_state, retired) == 64, "lasting part of the user state");
TG_STATIC_ASSERT(__builtin_offsetof(struct tg_retired, counters) == 64, "lasting part of what retired");

/*
 * How far a CPU's ring was read, and what had come out of it by then. The reader fills the slot that is not
 * current, makes it current, and only then gives the ring's space back: whenever it dies, one slot is whole.
 */
struct tg_reader_state {
	tg_u64 current; /* slot[current & 1] */
	struct {
		tg_u64 end; /* position in the ring */
		tg_u64 packets;
		tg_u64 octets;
	} slot[2];
	tg_u64 reserved;
};
TG_STATIC_ASSERT(sizeof(struct tg_reader_state) == 64, "reader state layout");

/*
 * Payload heads: the first octets of a flow's first payloads, for rules and decoders in user space. Nothing
 * is sent unless `head_wants` asks for a flow's port, so that what nobody configured never leaves the kernel.
 *
 * They travel in a ring of their own, `heads`, shared by all CPUs, as records of sizeof(struct tg_head) +
 * octets: they can never displace a delta, and conservation does not concern them. Heads of
 * one residency come in order; a head comes before the first delta that contains its packet (the reader
 * empties `heads` first), so a flow may be known by its heads alone for a while. In a residency that saw no
 * SYN a TCP flow sends heads only from a client's payload on that begins what decoders read (tg_head_begins),
 * because such a payload may stand anywhere in its stream; that one is number 0. Other flows may repeat
 * theirs after having been evicted: the first one counts.
 */
#define TG_HEAD_PORT_ANY 0
#define TG_HEAD_TO_PORT 0x01   /* packets towards the port (a client's) */
#define TG_HEAD_FROM_PORT 0x02 /* packets from the port (a server's) */
#define TG_HEAD_MAX_OCTETS 2048
#define TG_HEAD_MAX_PACKETS 14

/* Key of `head_wants`. */
struct tg_head_service {
	tg_u16 port; /* TG_HEAD_PORT_ANY = every port of the protocol that has no entry of its own */
	tg_u8 protocol;
	tg_u8 reserved;
};

/* Value of `head_wants`. */
struct tg_head_want {
	tg_u16 octets; /* of each payload at most, 1..TG_HEAD_MAX_OCTETS */
	tg_u8 packets; /* payloads of each direction, 1..TG_HEAD_MAX_PACKETS */
	tg_u8 sides;   /* TG_HEAD_TO_PORT, TG_HEAD_FROM_PORT */
};

struct tg_head {
	tg_u64 time_ns;
	struct tg_flow_key key;
	tg_u32 sequence; /* TCP: sequence number of the payload's first octet; else 0 */
	tg_u16 payload;	 /* length of the whole payload on the wire */
	tg_u16 octets;	 /* how many of it follow this structure */
	tg_u8 direction; /* of the payload: 0 lower -> upper, 1 upper -> lower */
	tg_u8 number;	 /* which payload of its direction in this residency, from 0 */
	tg_u8 side;	 /* TG_HEAD_TO_PORT or TG_HEAD_FROM_PORT: which of the two it is */
	tg_u8 opened;	 /* 1: the residency saw the flow's beginning, 0: a TCP flow without its SYN */
	tg_u8 reserved[4];
};
TG_STATIC_ASSERT(sizeof(struct tg_head) == 72, "payload head layout");

/* What gateway_flush is asked to do: the bytes of its test frame from TG_FLUSH_REQUEST_OFFSET on. */
#define TG_FLUSH_REQUEST_OFFSET 16

struct tg_flush_request {
	tg_u32 first; /* slot of the CPU's cache */
	tg_u32 count;
};

/* What a cache is told, constant while it runs. */
#define TG_SECRET_WORDS 13 /* 12 for the key's words, 1 for the finaliser */
#define TG_SIZE_LUT 128	   /* bin of a length = lut[length >> 4]; 2032 octets and more share the last entry */

struct tg_cache_settings {
	tg_u32 mask;	     /* entries - 1; entries is a power of two */
	tg_u32 export_ticks; /* longest part of a residency: active flows are reported at least this often */
	tg_u32 secret[TG_SECRET_WORDS];
	tg_u8 size_lut[TG_SIZE_LUT];
	tg_u8 head_bytes; /* payload bytes kept per direction, 0..TG_HEAD_BYTES */
	tg_u8 tunnels;	  /* TG_TUNNEL_* that are entered, so that the flow is the inner one */
	tg_u8 heads;	  /* payload heads are sent, of the services in `head_wants` */
};

#endif
