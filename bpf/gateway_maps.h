/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The maps of gateway.bpf.c but those of steering, and the constants that the loader sets. */
#ifndef TIDEGATE_GATEWAY_MAPS_H
#define TIDEGATE_GATEWAY_MAPS_H

#include "flow_abi.h"
#include "fragments.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096); /* CPUs x entries, set by the loader */
	__type(key, tg_u32);
	__type(value, struct tg_delta);
} flow_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_counters);
} counters SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TG_INTERFACE_SLOTS); /* CPUs x TG_INTERFACE_SLOTS */
	__type(key, tg_u32);
	__type(value, struct tg_interface_counters);
} interface_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_cpu_state);
} cpu_states SEC(".maps");

/* Not for the programs: it lives here so that it is made, pinned and found again with the other maps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, tg_u32);
	__type(value, struct tg_user_state);
} user_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct tg_reader_state);
} reader_states SEC(".maps");

/* Shared by all CPUs: later fragments have no ports, so RSS puts them elsewhere. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tg_fragment_key);
	__type(value, struct tg_fragment_ports);
} fragments SEC(".maps");

struct sweep_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* CPUs */
	__type(key, tg_u32);
	__type(value, struct sweep_timer);
} sweep_timers SEC(".maps");

/* Pinned with the maps, for a process of another version. */
const volatile struct tg_pinned_layout layout SEC(".rodata.layout") = {
    .magic = TG_LAYOUT_MAGIC,
    .version = TG_ABI_VERSION,
    .record_format = TG_RECORDS_FIXED,
    .entry = "tg_delta",
    .record = "tg_delta",
};

const volatile struct tg_cache_settings settings = {.mask = 4095, .export_ticks = 1 << 20};
const volatile tg_u32 idle_ticks = 1 << 20;
const volatile tg_u64 sweep_period_ns = 20000000;
const volatile tg_u32 sweep_slice = 512;
const volatile tg_u32 sweep_per_batch = 8;
const volatile tg_u32 clock_packets =
    16; /* the clock is read once in so many packets of a batch; 1 = always */
const volatile tg_u32 ring_bytes = 4096;
const volatile tg_u32 steering = 0; /* without it the verifier removes all that steering adds */

static __always_inline struct tg_cpu_state *this_cpu_state(void)
{
	tg_u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpu_states, &cpu);
}

/* What the parser is told, a constant for the verifier: what is switched off costs nothing. */
#define TG_PARSE_OPTIONS (settings.tunnels | (settings.heads ? TG_PARSE_SEQUENCE : 0))

#endif
