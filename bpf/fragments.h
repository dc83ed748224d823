/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Later fragments carry no ports. The first fragment of a datagram leaves its ports behind under (addresses,
 * identification, protocol); later ones pick them up, or, when the first was never seen, are metered as
 * TG_KIND_FRAGMENT. Where the ports wait is the includer's: an LRU map in the kernel, the slots below
 * elsewhere.
 */
#ifndef TIDEGATE_FRAGMENTS_H
#define TIDEGATE_FRAGMENTS_H

#include "parse.h"

struct tg_fragment_key {
	tg_u8 lower_address[16], upper_address[16];
	tg_u32 id;
	tg_u32 protocol;
};

struct tg_fragment_ports {
	tg_u16 lower_port, upper_port;
};

TG_INLINE void tg_fragment_key_of(const struct tg_packet *packet, struct tg_fragment_key *key)
{
	__builtin_memcpy(key->lower_address, packet->key.lower_address, 16);
	__builtin_memcpy(key->upper_address, packet->key.upper_address, 16);
	key->id = packet->fragment_id;
	key->protocol = packet->key.protocol;
}

/* Completes a later fragment; `ports` is 0 when its first was never seen. */
TG_INLINE void tg_fragment_complete(struct tg_packet *packet, const struct tg_fragment_ports *ports)
{
	if (ports) {
		packet->key.lower_port = ports->lower_port;
		packet->key.upper_port = ports->upper_port;
	} else {
		packet->key.kind = TG_KIND_FRAGMENT;
	}
}

#ifndef __bpf__
/* User space: one slot per hash value, the newest datagram wins. */
#define TG_FRAGMENT_SLOTS 4096

struct tg_fragment_slot {
	struct tg_fragment_key key;
	struct tg_fragment_ports ports;
	tg_u32 used;
};

TG_INLINE void tg_fragment_follow(struct tg_fragment_slot *slots, struct tg_packet *packet)
{
	struct tg_fragment_key key;
	struct tg_fragment_slot *slot;
	tg_u32 hash = 0;
	unsigned int i;

	tg_fragment_key_of(packet, &key);
	for (i = 0; i < sizeof(key) / 4; i++)
		hash = (hash ^ ((const tg_u32 *)&key)[i]) * 0x9e3779b1u;
	slot = &slots[(hash >> 16) % TG_FRAGMENT_SLOTS];
	if (packet->fragment == TG_FRAGMENT_FIRST) {
		slot->key = key;
		slot->ports.lower_port = packet->key.lower_port;
		slot->ports.upper_port = packet->key.upper_port;
		slot->used = 1;
	} else {
		tg_fragment_complete(packet, slot->used && !__builtin_memcmp(&slot->key, &key, sizeof(key))
						 ? &slot->ports
						 : 0);
	}
}
#endif

#endif
