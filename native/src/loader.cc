#include "loader.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nic_probe.h"

namespace tidegate
{

namespace
{
thread_local std::string libbpf_log;
constexpr size_t kLogBytes = 64 * 1024;

int CollectLog(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	va_list copy;

	va_copy(copy, arguments);
	int length = vsnprintf(nullptr, 0, format, copy);

	va_end(copy);
	// The verifier's whole log is one message; what it says at its end is the reason.
	std::string line(static_cast<size_t>(std::max(length, 0)) + 1, 0);

	vsnprintf(line.data(), line.size(), format, arguments);
	line.pop_back();
	if (line.size() > kLogBytes)
		line.erase(0, line.size() - kLogBytes);
	if (libbpf_log.size() < kLogBytes)
		libbpf_log += line;
	return length;
}

size_t PageRound(size_t bytes)
{
	size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

	return (bytes + page - 1) / page * page;
}
} // namespace

BpfError Failed(const char *operation, int error)
{
	BpfError failure{error < 0 ? -error : error, operation, libbpf_log};

	libbpf_log.clear();
	return failure;
}

Loader::~Loader()
{
	Detach();
	if (counters_)
		munmap(const_cast<tg_counters *>(counters_), counters_bytes_);
	if (cache_)
		munmap(const_cast<tg_delta *>(cache_), cache_bytes_);
	if (interfaces_)
		munmap(const_cast<tg_interface_counters *>(interfaces_), interfaces_bytes_);
	if (states_)
		munmap(states_, states_bytes_);
	if (user_state_)
		munmap(user_state_, user_state_bytes_);
	if (reader_states_)
		munmap(reader_states_, reader_states_bytes_);
	for (int ring : rings_)
		close(ring);
	for (int program : tagged_)
		close(program);
	if (owner_ >= 0)
		close(owner_);
	if (object_)
		bpf_object__close(object_);
}

BpfError Loader::Load(const LoaderOptions &wanted)
{
	LoaderOptions options = wanted;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(CollectLog);
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return Failed("count CPUs", cpus);
	cpus_ = static_cast<uint32_t>(cpus);
	object_path_ = options.object_path;
	object_ = bpf_object__open_file(object_path_.c_str(), nullptr);
	if (!object_)
		return Failed("open the BPF object", errno);

	if (!options.pin_directory.empty()) {
		BpfError failure = PreparePins(&options);

		if (failure)
			return failure;
	}
	entries_ = options.settings.mask + 1;
	ring_bytes_ = options.ring_bytes;
	head_ring_bytes_ = options.head_ring_bytes;
	steering_ = options.steering;
	std::memcpy(secret_, options.settings.secret, sizeof(secret_));
	uint32_t steering = options.steering;

	// Read-only data is set by symbol order in the .rodata map: found through the object's own BTF-backed
	// map.
	struct bpf_map *rodata = bpf_object__find_map_by_name(object_, ".rodata");
	size_t rodata_bytes = 0;

	if (!rodata)
		return Failed("find .rodata", ENOENT);
	uint8_t *initial =
	    static_cast<uint8_t *>(const_cast<void *>(bpf_map__initial_value(rodata, &rodata_bytes)));
	struct RodataField {
		const char *name;
		const void *value;
		size_t bytes;
	} fields[] = {
	    {"settings", &options.settings, sizeof(options.settings)},
	    {"idle_ticks", &options.idle_ticks, sizeof(options.idle_ticks)},
	    {"sweep_period_ns", &options.sweep_period_ns, sizeof(options.sweep_period_ns)},
	    {"sweep_slice", &options.sweep_slice, sizeof(options.sweep_slice)},
	    {"ring_bytes", &options.ring_bytes, sizeof(options.ring_bytes)},
	    {"sweep_per_batch", &options.sweep_per_batch, sizeof(options.sweep_per_batch)},
	    {"clock_packets", &options.clock_packets, sizeof(options.clock_packets)},
	    {"steering", &steering, sizeof(steering)},
	};
	const struct btf *btf = bpf_object__btf(object_);
	int section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;

	if (section < 0 || !initial)
		return Failed("find .rodata in BTF", section < 0 ? section : EINVAL);
	const struct btf_type *type = btf__type_by_id(btf, static_cast<uint32_t>(section));
	const struct btf_var_secinfo *variables = btf_var_secinfos(type);

	for (const RodataField &field : fields) {
		bool found = false;

		for (int i = 0; i < btf_vlen(type); i++) {
			const struct btf_type *variable = btf__type_by_id(btf, variables[i].type);

			if (std::strcmp(btf__name_by_offset(btf, variable->name_off), field.name) != 0)
				continue;
			if (variables[i].size != field.bytes ||
			    variables[i].offset + field.bytes > rodata_bytes)
				return Failed(field.name, EINVAL);
			std::memcpy(initial + variables[i].offset, field.value, field.bytes);
			found = true;
		}
		if (!found)
			return Failed(field.name, ENOENT);
	}

	struct {
		const char *name;
		uint32_t entries;
	} sizes[] = {{"flow_cache", cpus_ * entries_},
		     {"counters", cpus_},
		     {"cpu_states", cpus_},
		     {"reader_states", cpus_},
		     {"interface_counters", cpus_ * TG_INTERFACE_SLOTS},
		     {"rings", cpus_},
		     {"sweep_timers", cpus_},
		     {"head_spaces", cpus_},
		     {"skb_spaces", cpus_},
		     {"heads", options.head_ring_bytes}};

	for (const auto &size : sizes) {
		struct bpf_map *map = bpf_object__find_map_by_name(object_, size.name);
		int error = map ? bpf_map__set_max_entries(map, size.entries) : -ENOENT;

		if (error)
			return Failed(size.name, error);
	}
	BpfError failure = SizeSteering();

	if (failure)
		return failure;
	const std::pair<const char *, bool> wanted_or_not[] = {{"gateway_egress", options.egress},
							       {"gateway_ingress", options.behind_xdp},
							       {"gateway_xdp_tagged", false}};

	for (const auto &[name, is_wanted] : wanted_or_not) {
		struct bpf_program *program = bpf_object__find_program_by_name(object_, name);

		if (program)
			bpf_program__set_autoload(program, is_wanted);
	}
	int error = bpf_object__load(object_);

	if (error)
		return Failed("load the BPF programs", error);

	failure = OpenRings();

	if (failure)
		return failure;
	tg_head_service earlier; // of a process whose maps these were

	while (bpf_map_get_next_key(map_fd("head_wants"), nullptr, &earlier) == 0)
		bpf_map_delete_elem(map_fd("head_wants"), &earlier);
	for (const auto &[service, want] : options.head_wants) {
		if (bpf_map_update_elem(map_fd("head_wants"), &service, &want, BPF_ANY))
			return Failed("say which payload heads are wanted", errno);
	}
	counters_bytes_ = PageRound(sizeof(tg_counters) * cpus_);
	counters_ = static_cast<const tg_counters *>(MapMemory("counters", counters_bytes_));
	cache_bytes_ = PageRound(sizeof(tg_delta) * entries_ * cpus_);
	cache_ = static_cast<const tg_delta *>(MapMemory("flow_cache", cache_bytes_));
	interfaces_bytes_ = PageRound(sizeof(tg_interface_counters) * TG_INTERFACE_SLOTS * cpus_);
	interfaces_ =
	    static_cast<const tg_interface_counters *>(MapMemory("interface_counters", interfaces_bytes_));
	states_bytes_ = PageRound(sizeof(tg_cpu_state) * cpus_);
	states_ = static_cast<tg_cpu_state *>(MapMemory("cpu_states", states_bytes_, true));
	user_state_bytes_ = PageRound(sizeof(tg_user_state));
	user_state_ = static_cast<tg_user_state *>(MapMemory("user_state", user_state_bytes_, true));
	reader_states_bytes_ = PageRound(sizeof(tg_reader_state) * cpus_);
	reader_states_ =
	    static_cast<tg_reader_state *>(MapMemory("reader_states", reader_states_bytes_, true));
	if (!counters_ || !cache_ || !interfaces_ || !states_ || !user_state_ || !reader_states_)
		return Failed("map the BPF maps into memory", errno);
	user_state_->starts++;
	return {};
}

void *Loader::MapMemory(const char *name, size_t bytes, bool writable) const
{
	int fd = bpf_map__fd(bpf_object__find_map_by_name(object_, name));
	void *memory = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? nullptr : memory;
}

int Loader::program_fd(const char *name) const
{
	return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
}

int Loader::map_fd(const char *name) const
{
	struct bpf_map *map = bpf_object__find_map_by_name(object_, name);

	return map ? bpf_map__fd(map) : -ENOENT;
}

} // namespace tidegate
