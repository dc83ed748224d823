/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The maps of steering; their layouts are in steer_abi.h. */
#ifndef TIDEGATE_STEER_MAPS_H
#define TIDEGATE_STEER_MAPS_H

#include "steer_abi.h"

/* A section of its own is a map of its own, which is pinned like the others. */
struct tg_steer_tables steer_tables SEC(".data.steer");

/* The loader gives the maps from here on their sizes when steering is wanted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_block);
} steer_blocks SEC(".maps");

/* The rules of the endpoints that this CPU met last: most new flows are of a few services. */
#define TG_STEER_SERVICES 256

struct steer_service {
	tg_u64 address[2];
	tg_u64 what; /* version of the prefixes, protocol, port; 0 = empty */
	tg_u64 rule; /* 0 none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TG_STEER_SERVICES);
	__type(key, tg_u32);
	__type(value, struct steer_service);
} steer_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * TG_STEER_RULES);
	__type(key, struct tg_steer_ipv6_key);
	__type(value, tg_u32); /* group */
} steer_ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_group);
} steer_groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_steer_rule);
} steer_rules SEC(".maps");

/* By a flow's hash: the link that it stays on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, tg_u64);
	__type(value, tg_u32);
} steer_pins SEC(".maps");

/* A bit for each pin: most flows of a bucket with pins have none and need not look. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, tg_u64);
} steer_filter SEC(".maps");

/* By link number, never 0: key 0 would undo the mark of kernel_clock.h. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, TG_STEER_LINKS);
	__type(key, tg_u32);
	__type(value, tg_u32);
} steer_devices SEC(".maps");

#endif
