/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What steering shares between the XDP program and user space. All of it lives in pinned maps, so that a
 * process that takes the datapath over finds rules, weights and the links of flows as they were.
 *
 * A *rule* is an endpoint (prefix, protocol, port) of a workload. It has 4096 *buckets*; a flow's hash says
 * which is its own, and the bucket holds the number of the link that new flows of it take. A *pin* holds one
 * flow to a link that is no longer its bucket's. Only flows that a change of weights would have moved have
 * one.
 *
 * Change of weights, make before break (user space, native/src/steering_change.cc):
 *   1. LEARN is set in the buckets that will move: a flow that is met for the first time now pins itself.
 *   2. Every CPU is visited once: no packet is still under way that has not seen step 1.
 *   3. Caches are scanned, then the rings drained: every flow that is older than step 1 is known.
 *   4. Those of them in moving buckets are pinned to the link they are on.
 *   5. The buckets get their new link, with PINNED; LEARN goes.
 * So the links of flows are state that is bounded by the flows that changes would have moved.
 */
#ifndef TIDEGATE_STEER_ABI_H
#define TIDEGATE_STEER_ABI_H

#include "flow_abi.h"

#define TG_STEER_BUCKETS 4096
#define TG_STEER_RULES 1024  /* number 0 is none */
#define TG_STEER_LINKS 32    /* number 0 is the kernel's own routing */
#define TG_STEER_BLOCKS 1280 /* of each copy: 256 for the first 16 bits of an address, then as needed */
#define TG_STEER_GROUPS 2048 /* of each copy; number 0 is none */
#define TG_STEER_GROUP_ENTRIES 15
#define TG_STEER_GROUP_CHAIN 8
#define TG_STEER_FILTER_WORDS 131072 /* 64 bits each */

/* A bucket: a link's number and these. */
#define TG_BUCKET_LINK 0x1f
#define TG_BUCKET_LEARN 0x40
#define TG_BUCKET_PINNED 0x80

/* tg_delta.link of an entry or a record: a link's number, and in which directions packets take it. */
#define TG_STEERED_LINK 0x1f
#define TG_STEERED_UP 0x40   /* lower -> upper */
#define TG_STEERED_DOWN 0x80 /* upper -> lower */

/* Which bucket of a rule, which bit of the filter: bits of tg_hash that choose no cache set. The bucket's are
 * in an entry's tag too. */
#define TG_STEER_BUCKET(hash) ((tg_u32)((hash) >> 40) & (TG_STEER_BUCKETS - 1))
#define TG_STEER_BUCKET_OF_TAG(tag) ((tg_u32)((tag) >> 8) & (TG_STEER_BUCKETS - 1))
#define TG_STEER_FILTER_BIT(hash) ((tg_u32)((hash) >> 16) & (TG_STEER_FILTER_WORDS * 64 - 1))

/* One cache line that every steered packet reads; user space writes it. */
struct tg_steer_control {
	tg_u32 generation;   /* 1..255, another after each change; 0 = nothing is steered */
	tg_u32 version;	     /* of the prefixes, another after each change; its lowest bit says which copy of
				them is valid, the other may be half written */
	tg_u32 has_ipv6;     /* the valid copy has IPv6 prefixes */
	tg_u32 has_secret;   /* `secret` below is that of the programs */
	tg_u64 heartbeat_ns; /* CLOCK_MONOTONIC when user space last said that it is alive */
	tg_u64 deadman_ns;   /* without a sign of life for so long nothing is steered; 0 = steer on */
	tg_u64 reserved[4];
	tg_u32 secret[16]; /* TG_SECRET_WORDS of them: buckets and pins mean nothing under another key */
} __attribute__((aligned(64)));
TG_STATIC_ASSERT(sizeof(struct tg_steer_control) == 128, "steering control layout");

/*
 * Longest prefix match for IPv4: two octets index the first 256 blocks, the third and fourth a block each. An
 * element is 0, a group, or (TG_STEER_DEEPER) the block that the next octet indexes.
 */
#define TG_STEER_DEEPER 0x8000

struct tg_steer_block {
	tg_u16 at[256];
};

/* For IPv6, a trie: the copy is the first word of the key. */
struct tg_steer_ipv6_key {
	tg_u32 prefix_length; /* 32 + that of the address */
	tg_u32 copy;
	tg_u8 address[16];
};

/* What a prefix and those that contain it say, most specific first: the first entry that fits wins. */
struct tg_steer_group {
	tg_u16 count;
	tg_u16 next; /* group with more entries, 0 none */
	tg_u32 reserved;
	struct tg_steer_entry {
		tg_u16 port; /* 0 = any */
		tg_u16 rule;
		tg_u8 protocol; /* 0 = any */
		tg_u8 reserved[3];
	} entries[TG_STEER_GROUP_ENTRIES];
};
TG_STATIC_ASSERT(sizeof(struct tg_steer_group) == 128, "steering group layout");

/* What choosing a link means, see Steering in src/actuate. */
enum tg_steer_kind {
	TG_STEER_WAY_OUT = 1,	/* the link is the way of what leaves for the outside */
	TG_STEER_PLACEMENT = 2, /* the link decides who serves: requests take it */
};

struct tg_steer_rule {
	tg_u8 buckets[TG_STEER_BUCKETS];
	tg_u8 used; /* 0 free; 1 in force; 2 given up, but flows are still pinned by it */
	tg_u8 kind; /* enum tg_steer_kind */
	tg_u8 protocol;
	tg_u8 prefix_length; /* of the IPv4-mapped or IPv6 address */
	tg_u16 port;
	tg_u8 hard; /* flows follow their bucket wherever it goes: no pins */
	tg_u8 reserved;
	tg_u32 workload;
	tg_u8 address[16];
	tg_u32 weights[TG_STEER_LINKS]; /* thousandths by link, as they were asked for */
	tg_u8 padding[36];
};
TG_STATIC_ASSERT(sizeof(struct tg_steer_rule) == TG_STEER_BUCKETS + 192, "steering rule layout");

enum tg_link_state {
	TG_LINK_DOWN = 0,     /* no route by it: its flows take another */
	TG_LINK_READY = 1,    /* the neighbour's address is known: XDP sends */
	TG_LINK_DEFERRED = 2, /* the kernel's stack sends: neighbour unknown, or queues that must be passed */
};

struct tg_steer_link {
	tg_u64 checked;	  /* jiffy in which route and neighbours were last looked up */
	tg_u64 mac[2][2]; /* [IPv4, IPv6][source, destination], six octets each, as they lie in a frame */
	tg_u32 state[2];  /* enum tg_link_state */
	tg_u32 mtu[2];
	tg_u32 ifindex;	      /* 0 = no such link */
	tg_u32 drained;	      /* user space took it out of service */
	tg_u32 via_stack;     /* always by the kernel's stack, so that queueing disciplines see the packets */
	tg_u32 fixed;	      /* state and addresses are as given, never looked up: benches */
	tg_u32 next_hop_ipv4; /* network order, 0 none */
	tg_u8 next_hop_ipv6[16];
	char name[36];
};
TG_STATIC_ASSERT(sizeof(struct tg_steer_link) == 128, "steering link layout");

/* By ifindex % TG_INTERFACE_SLOTS: only frames that are addressed to the interface are steered. */
struct tg_steer_ingress {
	tg_u32 ifindex;
	tg_u32 outside; /* what arrives here is not on its way out */
	tg_u64 mac;	/* six octets, as they lie in a frame */
};

/* What every steered packet reads, without a look-up: the one element of a map that user space writes. */
struct tg_steer_tables {
	struct tg_steer_control control;
	struct tg_steer_link links[TG_STEER_LINKS];
	struct tg_steer_ingress ingress[TG_INTERFACE_SLOTS];
};

/* In front of a frame that XDP hands to gateway_steer. */
#define TG_STEER_MAGIC 0x7469646bu

struct tg_steer_mark {
	tg_u32 magic;
	tg_u32 link;
};

#endif
