#include "predecessor.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <cstddef>
#include <linux/membarrier.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
// Positions of entries come after those of any record.
constexpr uint64_t kEntries = 1ull << 62;

bool InfoOf(int fd, struct bpf_map_info *info)
{
	__u32 bytes = sizeof(*info);

	*info = {};
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, info, &bytes) == 0;
}

// A map's values, of `count` keys from 0 on; empty when they cannot be read.
std::vector<uint8_t> ValuesOf(int fd, uint32_t count)
{
	struct bpf_map_info info;

	if (!InfoOf(fd, &info) || info.max_entries < count)
		return {};
	std::vector<uint8_t> values(static_cast<size_t>(info.value_size) * count);

	for (uint32_t key = 0; key < count; key++) {
		if (bpf_map_lookup_elem(fd, &key, &values[static_cast<size_t>(info.value_size) * key]))
			return {};
	}
	return values;
}

// Adds the counters that every version has.
void AddLasting(tg_counters *sum, const uint8_t *counters, size_t bytes)
{
#define TG_ONE_MORE(name) +1
	constexpr size_t kLasting = TG_LASTING_COUNTERS(TG_ONE_MORE);
#undef TG_ONE_MORE
	uint64_t *into = reinterpret_cast<uint64_t *>(sum);

	for (size_t i = 0; i < std::min(kLasting, bytes / sizeof(uint64_t)); i++) {
		uint64_t value;

		std::memcpy(&value, counters + i * sizeof(value), sizeof(value));
		into[i] += value;
	}
}

template <typename Work> void EachName(const std::string &directory, Work work)
{
	DIR *names = opendir(directory.c_str());

	while (struct dirent *name = names ? readdir(names) : nullptr) {
		if (name->d_name[0] != '.')
			work(std::string(name->d_name));
	}
	if (names)
		closedir(names);
}
} // namespace

std::unique_ptr<Predecessor> Predecessor::Open(const std::string &directory, uint32_t cpus, int *error)
{
	std::unique_ptr<Predecessor> found(new Predecessor());

	found->directory_ = directory;
	found->cpus_ = cpus;
	found->owner_ = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*error = found->owner_ < 0 || flock(found->owner_, LOCK_EX | LOCK_NB) ? errno : 0;
	if (*error)
		return nullptr;
	if (!found->OpenMaps()) {
		found->Remove();
		return nullptr;
	}
	return found;
}

Predecessor::~Predecessor()
{
	if (cache_)
		munmap(cache_, cache_bytes_);
	if (owner_ >= 0)
		close(owner_);
}

int Predecessor::PinOf(const char *name) const
{
	return bpf_obj_get((directory_ + "/" + name).c_str());
}

bool Predecessor::OpenMaps()
{
	struct bpf_map_info info;
	int cache = PinOf("flow_cache"), counters = PinOf("counters");
	bool complete = InfoOf(cache, &info) && counters >= 0;

	if (complete) {
		datapath_ = info.id;
		readable_ = ReadableWith(cache);
	}
	for (int fd : {cache, counters}) {
		if (fd >= 0)
			close(fd);
	}
	return complete;
}

bool Predecessor::ReadableWith(int cache)
{
	struct bpf_map_info info;
	tg_pinned_layout layout = {.magic = TG_LAYOUT_MAGIC,
				   .record_format = TG_RECORDS_FIXED,
				   .entry = "tg_delta",
				   .record = "tg_delta"};
	int said = PinOf("layout"), rings = PinOf("rings"), states = PinOf("cpu_states");
	std::vector<uint8_t> words = ValuesOf(said, 1), ids = ValuesOf(rings, cpus_);
	BtfFields types = BtfFields::OfMap(cache);

	ReadSampling(types, ValuesOf(states, cpus_));
	for (int fd : {said, rings, states}) {
		if (fd >= 0)
			close(fd);
	}
	if (words.size() >= sizeof(layout))
		std::memcpy(&layout, words.data(), sizeof(layout));
	layout.entry[sizeof(layout.entry) - 1] = layout.record[sizeof(layout.record) - 1] = 0;
	if (layout.magic != TG_LAYOUT_MAGIC || layout.record_format != TG_RECORDS_FIXED ||
	    !entry_.Learn(types, layout.entry) || !record_.Learn(types, layout.record))
		return false;
	if (!InfoOf(cache, &info) || info.value_size != entry_.bytes() || info.max_entries % cpus_ != 0)
		return false;
	entries_ = info.max_entries / cpus_;
	cache_bytes_ = static_cast<size_t>(info.max_entries) * info.value_size;
	void *memory = mmap(nullptr, cache_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, cache, 0);

	if (memory == MAP_FAILED)
		return false;
	cache_ = static_cast<uint8_t *>(memory);
	for (uint32_t cpu = 0; cpu < cpus_ && ids.size() == cpus_ * sizeof(uint32_t); cpu++) {
		uint32_t id;

		std::memcpy(&id, &ids[cpu * sizeof(id)], sizeof(id));
		int fd = bpf_map_get_fd_by_id(id);
		auto ring = std::make_unique<PinnedRing>();
		int error = fd < 0 ? errno : ring->Open(fd);

		if (fd >= 0)
			close(fd);
		if (error)
			break;
		rings_.push_back(std::move(ring));
	}
	return rings_.size() == cpus_;
}

// One in how many packets each CPU meters, as far as that is said.
void Predecessor::ReadSampling(const BtfFields &types, const std::vector<uint8_t> &states)
{
	size_t each = states.size() / cpus_;
	BtfField field;

	sampling_.assign(cpus_, 1);
	freed_.assign(cpus_, 0);
	if (!types.Find("tg_cpu_state", "overload.sampling", &field) || field.element != sizeof(uint32_t) ||
	    field.offset + field.element > each)
		return;
	for (uint32_t cpu = 0; cpu < cpus_; cpu++) {
		std::memcpy(&sampling_[cpu], &states[cpu * each + field.offset], sizeof(uint32_t));
		sampling_[cpu] = std::max(sampling_[cpu], 1u);
	}
}

void Predecessor::Halt()
{
	EachName(directory_, [this](const std::string &name) {
		int link = name.rfind(kLinkPrefix, 0) == 0 ? PinOf(name.c_str()) : -1;

		if (link < 0)
			return;
		bpf_link_detach(link);
		close(link);
		unlink((directory_ + "/" + name).c_str());
	});
	int timers = PinOf("sweep_timers");
	struct bpf_map_info info;

	if (InfoOf(timers, &info)) {
		const std::vector<uint8_t> nothing(info.value_size);

		// An update ends the timer that the element holds, and none can be started in it any more.
		for (uint32_t cpu = 0; cpu < info.max_entries; cpu++)
			bpf_map_update_elem(timers, &cpu, nothing.data(), BPF_ANY);
	}
	if (timers >= 0)
		close(timers);
	// Programs and timers run with bottom halves disabled, which this waits for on every CPU.
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

tg_retired Predecessor::Totals() const
{
	tg_retired totals{};
	int counters = PinOf("counters"), user = PinOf("user_state");
	std::vector<uint8_t> counted = ValuesOf(counters, cpus_), remembered = ValuesOf(user, 1);
	size_t each = counted.size() / cpus_;
	tg_user_state state{};
	uint64_t exported_packets, exported_octets;

	for (int fd : {counters, user}) {
		if (fd >= 0)
			close(fd);
	}
	for (uint32_t cpu = 0; cpu < cpus_ && each != 0; cpu++)
		AddLasting(&totals.counters, &counted[cpu * each], each);
	std::memcpy(&state, remembered.data(), std::min(remembered.size(), offsetof(tg_user_state, retired)));
	totals.datapath = datapath_;
	totals.delivered_packets = state.delivered_packets;
	totals.delivered_octets = state.delivered_octets;
	tg_counters &sum = totals.counters;
	uint64_t lost_packets = sum.ring_lost_packets + sum.unmetered_packets + sum.sampled_out_packets;
	uint64_t lost_octets = sum.ring_lost_octets + sum.unmetered_octets + sum.sampled_out_octets;

	if (readable_) {
		exported_packets = sum.rx_packets - lost_packets;
		exported_octets = sum.rx_octets - lost_octets;
	} else {
		exported_packets = taken_known_ ? taken_packets_ : totals.delivered_packets;
		exported_octets = taken_known_ ? taken_octets_ : totals.delivered_octets;
		totals.unread_packets = sum.rx_packets - lost_packets - exported_packets;
		totals.unread_octets = sum.rx_octets - lost_octets - exported_octets;
	}
	sum.exported_packets = exported_packets;
	sum.exported_octets = exported_octets;
	// Numbers of records are a CPU's and a ring's own: there is nothing to compare these with.
	sum.exported_records = sum.ring_lost_records = 0;
	size_t stride = (remembered.size() - std::min(remembered.size(), sizeof(uint64_t) * 8)) / 2;

	if (stride >= offsetof(tg_retired, counters)) {
		const uint8_t *earlier = remembered.data() + offsetof(tg_user_state, retired) +
					 stride * (state.retired_current & 1);
		tg_retired before{};

		std::memcpy(&before, earlier, offsetof(tg_retired, counters));
		totals.earlier = before.datapath;
		totals.delivered_packets += before.delivered_packets;
		totals.delivered_octets += before.delivered_octets;
		totals.unread_packets += before.unread_packets;
		totals.unread_octets += before.unread_octets;
		AddLasting(&sum, earlier + offsetof(tg_retired, counters),
			   stride - offsetof(tg_retired, counters));
	}
	return totals;
}

void Predecessor::Taken(uint32_t cpu, uint64_t end, uint64_t packets, uint64_t octets)
{
	taken_known_ = true;
	taken_packets_ += packets;
	taken_octets_ += octets;
	if (readable_)
		rings_[cpu]->Consume(end);
}

void Predecessor::Visit(const std::function<void(const Part &)> &visit) const
{
	if (!readable_)
		return;
	for (uint32_t cpu = 0; cpu < cpus_; cpu++) {
		rings_[cpu]->Visit([&](const uint8_t *record, uint32_t bytes, uint64_t end) {
			if (bytes == record_.bytes())
				visit({record_.Decode(record), cpu, end});
		});
		VisitEntries(cpu, visit);
	}
}

// What gateway_flush would have made of the entries.
void Predecessor::VisitEntries(uint32_t cpu, const std::function<void(const Part &)> &visit) const
{
	for (uint32_t i = 0; i < entries_; i++) {
		tg_delta delta =
		    entry_.Decode(cache_ + (static_cast<size_t>(cpu) * entries_ + i) * entry_.bytes());
		tg_u8 continued = delta.state & TG_STATE_CONTINUES;

		if (delta.tag == 0 || (!continued && !(delta.packets[0] | delta.packets[1])))
			continue;
		delta.state &= static_cast<tg_u8>(~TG_STATE_CONTINUES);
		delta.reason = TG_REASON_FLUSH;
		delta.cpu = static_cast<tg_u8>(cpu);
		delta.entry_tick = sampling_[cpu];
		visit({delta, cpu, kEntries + i + 1});
	}
}

void Predecessor::Drained(uint32_t cpu, uint64_t position)
{
	if (!readable_)
		return;
	if (position < kEntries)
		rings_[cpu]->Consume(position);
	else
		rings_[cpu]->ConsumeAll();
	for (uint32_t &i = freed_[cpu]; i < entries_ && kEntries + i < position; i++)
		entry_.Free(cache_ + (static_cast<size_t>(cpu) * entries_ + i) * entry_.bytes());
}

void Predecessor::Remove()
{
	// Links first: no program may meter into maps that nobody reads.
	Halt();
	EachName(directory_, [this](const std::string &name) { unlink((directory_ + "/" + name).c_str()); });
	rmdir(directory_.c_str());
}

} // namespace tidegate
