/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * libFuzzer target for the parser and the flow cache, with the sanitizers: `make fuzz`. The input is a list
 * of packets, each `length (2 octets, little-endian) | cut (1) | tunnels (1) | octets`; `cut` is how much
 * longer the packet claims to have been on the wire. Checked on every input: nothing is read out of bounds,
 * both ways through the parser agree, every packet ends in exactly one kind, what the records add up to is
 * what went in, and payload heads are parts of payloads that can be read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/flow_abi.h"

#define ENTRIES 16

struct tg_cache {
	struct tg_delta entries[ENTRIES];
	tg_u64 packets, octets, sizes;
};

static inline struct tg_delta *tg_cache_entry(struct tg_cache *cache, tg_u32 index)
{
	return &cache->entries[index];
}

static void check(int fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "violated: %s\n", what);
		abort();
	}
}

static inline void tg_cache_export(struct tg_cache *cache, struct tg_delta *e, tg_u8 reason)
{
	int d, i;

	(void)reason;
	for (d = 0; d < 2; d++) {
		cache->packets += e->packets[d];
		cache->octets += e->octets[d];
		for (i = 0; i < TG_SIZE_BINS; i++)
			cache->sizes += e->size_bins[d][i];
	}
}

#include "../../bpf/flow_cache.h"
#include "../../bpf/fragments.h"
#include "../../bpf/heads.h"

static const struct tg_cache_settings settings = {
    .mask = ENTRIES - 1,
    .export_ticks = 1000,
    .secret = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9},
};

static void compare_ways(const struct tg_frame *frame)
{
	struct tg_packet quick, slow;

	memset(&quick, 0, sizeof(quick));
	if (!tg_parse_quick(frame, &quick))
		return;
	tg_parse_frame(frame, &slow);
	check(!memcmp(&quick.key, &slow.key, sizeof(quick.key)), "both ways give one key");
	check(quick.octets == slow.octets && quick.payload == slow.payload &&
		  quick.direction == slow.direction && quick.flags == slow.flags &&
		  quick.window == slow.window && quick.ttl == slow.ttl && quick.tos == slow.tos &&
		  quick.is_tcp == slow.is_tcp && !slow.unparsed && !slow.fragment,
	      "both ways give the same facts");
}

/* What is wanted of a port depends on the port, so that inputs reach every case. */
static const struct tg_head_want *wanted(struct tg_head_want *want, struct tg_head_service service)
{
	*want = (struct tg_head_want){
	    .octets = (tg_u16)(1 + service.port % TG_HEAD_MAX_OCTETS),
	    .packets = (tg_u8)(1 + service.port % TG_HEAD_MAX_PACKETS),
	    .sides = (tg_u8)(service.port & 3),
	};
	return service.port % 5 ? want : 0;
}

/* The decision that the kernel makes for each payload, and the octets that it would copy. */
static void take_head(const struct tg_frame *frame, const struct tg_packet *packet, struct tg_delta *entry)
{
	struct tg_head_want to, from, any;
	struct tg_head head;
	tg_u32 octets, i, sum = 0;

	if (!tg_head_open(entry, packet))
		return;
	octets = tg_head_next(entry, packet, wanted(&to, tg_head_service_of(packet, 1)),
			      wanted(&from, tg_head_service_of(packet, 0)),
			      wanted(&any, (struct tg_head_service){.port = 3}), &head);
	if (octets == 0)
		return;
	check(octets <= packet->payload && octets <= TG_HEAD_MAX_OCTETS, "a head is part of its payload");
	check(head.number < TG_HEAD_MAX_PACKETS, "no side sends more heads than can be wanted");
	check(head.side == TG_HEAD_TO_PORT || head.side == TG_HEAD_FROM_PORT, "a head is of one side");
	if (packet->payload_offset + octets > (tg_u32)(frame->data_end - frame->data))
		return; /* cut off: the kernel's copy fails */
	for (i = 0; i < octets; i++)
		sum += frame->data[packet->payload_offset + i];
	check(sum <= 255u * octets, "every octet of a head can be read");
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t size)
{
	static struct tg_cache cache;
	static struct tg_fragment_slot fragments[TG_FRAGMENT_SLOTS];
	struct tg_counters counters;
	tg_u64 packets = 0, octets = 0;
	tg_u32 now = 1, i;
	size_t at = 0;

	memset(&cache, 0, sizeof(cache));
	memset(&counters, 0, sizeof(counters));
	while (at + 4 <= size) {
		tg_u32 length = input[at] | (tg_u32)input[at + 1] << 8, cut = input[at + 2],
		       tunnels = input[at + 3];
		struct tg_packet packet;
		struct tg_frame frame;
		unsigned char *copy;

		at += 4;
		if (length > size - at)
			length = (tg_u32)(size - at);
		/* Of its own exact size, so that the sanitizer sees one octet too many. */
		copy = malloc(length ? length : 1);
		memcpy(copy, input + at, length);
		frame = (struct tg_frame){copy, copy + length, length + cut, tunnels};
		compare_ways(&frame);
		tg_parse(0, &frame, &packet);
		check(packet.octets <= frame.wire_octets, "no packet is longer than its frame");
		check(packet.payload <= packet.octets, "no payload is longer than its packet");
		if (packet.fragment)
			tg_fragment_follow(fragments, &packet);
		tg_count_packet(&counters, &packet);
		struct tg_delta *entry = tg_cache_update(&cache, &packet, now, 1, &settings, &counters);

		check(entry != 0, "every packet is metered");
		take_head(&frame, &packet, entry);
		packets++;
		octets += packet.octets;
		now += 1u << (cut & 15);
		free(copy);
		at += length;
	}
	for (i = 0; i < ENTRIES; i++)
		tg_sweep(&cache, i, now, 0, 0, &counters);
	check(counters.rx_packets == packets, "every packet is seen");
	check(counters.kind_ipv4 + counters.kind_ipv6 + counters.kind_non_ip + counters.kind_fragment +
		      counters.kind_unparsed ==
		  packets,
	      "every packet ends in one kind");
	check(cache.packets == packets && cache.octets == octets && cache.sizes == packets,
	      "records add up to what went in");
	return 0;
}
