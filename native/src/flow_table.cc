#include "flow_table.h"

#include <algorithm>

#include "flow_entry.h"
extern "C" {
#include "flow_key.h"
}

namespace tidegate
{

namespace
{
// The table's own hash need not be secret for correctness; a fixed odd mix after the key's words is enough
// because floods are bounded by max_flows, and the probe length by a load factor of one half.
constexpr tg_u32 kSecret[TG_SECRET_WORDS] = {0x9e3779b9, 0x7f4a7c15, 0xf39cc060, 0x5cedc834, 0x1082276b,
					     0xf3a27251, 0xf86c6a11, 0xd0c18e95, 0x2767f0b1, 0x53d2722f,
					     0x9d7a4c3b, 0xb5026f5b, 0xaa9d5d99};

constexpr size_t kLookahead = 8;

uint32_t TagOf(uint64_t hash)
{
	return static_cast<uint32_t>(hash >> 32);
}
} // namespace

FlowTable::FlowTable(const FlowTableOptions &options, SlabWriter &writer)
    : options_(options), writer_(writer), index_(1 << 14, 0), index_mask_(index_.size() - 1),
      wheel_(kWheelSlots, kNone)
{
}

FlowTable::~FlowTable() = default;

uint32_t FlowTable::Find(const tg_flow_key &key, uint64_t hash) const
{
	for (uint64_t at = hash & index_mask_; index_[at] != 0; at = (at + 1) & index_mask_) {
		if (static_cast<uint32_t>(index_[at] >> 32) != TagOf(hash))
			continue;
		uint32_t index = static_cast<uint32_t>(index_[at]) - 1;

		if (tg_key_equal(&At(index).key, &key))
			return index;
	}
	return kNone;
}

void FlowTable::Grow()
{
	std::vector<uint64_t> old(index_.size() * 2, 0);

	old.swap(index_);
	index_mask_ = index_.size() - 1;
	for (uint64_t cell : old) {
		if (cell == 0)
			continue;
		uint64_t at = At(static_cast<uint32_t>(cell) - 1).hash & index_mask_;

		while (index_[at] != 0)
			at = (at + 1) & index_mask_;
		index_[at] = cell;
	}
}

uint32_t FlowTable::Create(const tg_flow_key &key, uint64_t hash, bool aggregate)
{
	if (free_.empty()) {
		uint32_t first = static_cast<uint32_t>(chunks_.size()) * kChunk;

		chunks_.push_back(std::make_unique<Entry[]>(kChunk));
		for (uint32_t i = kChunk; i-- > 0;)
			free_.push_back(first + i);
	}
	if ((counters_.flows_active + 1) * 2 > index_.size())
		Grow();
	uint32_t index = free_.back();
	Entry &entry = At(index);

	free_.pop_back();
	entry = Entry{};
	entry.key = key;
	entry.hash = hash;
	entry.source = -1;
	entry.aggregate = aggregate;
	entry.used = true;
	entry.wheel_next = kNone;
	uint64_t at = hash & index_mask_;

	while (index_[at] != 0)
		at = (at + 1) & index_mask_;
	index_[at] = static_cast<uint64_t>(TagOf(hash)) << 32 | (index + 1);
	counters_.flows_active++;
	counters_.flows_created++;
	return index;
}

// Past the cap a flow is folded: ports go, addresses keep their first 16 (IPv4) or 32 (IPv6) bits, and when
// there are too many of those, nothing but protocol and kind stays. The packets are still all there.
uint32_t FlowTable::FindOrFold(const tg_flow_key &key)
{
	tg_flow_key folded = key;
	size_t keep = key.kind == TG_KIND_IPV6 ? 4 : 14;

	counters_.folded_records++;
	folded.lower_port = folded.upper_port = 0;
	for (int step = 0; step < 2; step++) {
		std::memset(folded.lower_address + keep, 0, 16 - keep);
		std::memset(folded.upper_address + keep, 0, 16 - keep);
		uint64_t hash = tg_hash(&folded, kSecret);
		uint32_t index = Find(folded, hash);

		if (index != kNone)
			return index;
		if (aggregates_ < kAggregates || step == 1) {
			aggregates_++;
			return Create(folded, hash, true);
		}
		keep = 0;
	}
	return kNone;
}

uint32_t FlowTable::FindOrCreate(const tg_flow_key &key)
{
	uint64_t hash = tg_hash(&key, kSecret);
	uint32_t index = Find(key, hash);

	if (index != kNone)
		return index;
	if (counters_.flows_active >= options_.max_flows)
		return FindOrFold(key);
	return Create(key, hash, false);
}

void FlowTable::Merge(const tg_delta *records, size_t count, const ClockBase &clock)
{
	for (size_t i = 0; i < count; i++) {
		if (i + kLookahead < count)
			__builtin_prefetch(
			    &index_[tg_hash(&records[i + kLookahead].key, kSecret) & index_mask_]);
		uint32_t index = FindOrCreate(records[i].key);
		Entry &entry = At(index);
		bool fresh = entry.flow_id == 0;

		MergeInto(entry, records[i], clock);
		if (fresh) {
			// Stable across this flow's records, different for a later flow with the same key.
			entry.flow_id = (entry.hash ^ (entry.record_start_ns * 0x9e3779b97f4a7c15ull)) | 1;
			Schedule(index, DueNs(entry));
		}
	}
}

void FlowTable::MergeInto(Entry &entry, const tg_delta &delta, const ClockBase &clock)
{
	uint64_t first[2] = {0, 0};

	for (int d = 0; d < 2; d++) {
		if (delta.packets[d] != 0)
			first[d] = clock.Extend(delta.first_tick[d]);
	}
	if (entry.Empty()) {
		uint64_t start = !first[0] ? first[1] : !first[1] ? first[0] : std::min(first[0], first[1]);

		if (entry.flow_id == 0)
			entry.first_side = delta.state & TG_STATE_FIRST_UPPER ? 1 : 0;
		entry.StartRecord(start);
	}
	for (int d = 0; d < 2; d++) {
		if (delta.packets[d] == 0)
			continue;
		uint64_t last = clock.Extend(delta.last_tick[d]);

		// The one gap that the source could not see: from the flow's last packet in an earlier
		// residency.
		if (entry.last_ns[d] != 0 && !(entry.kernel_counts >> d & 1)) {
			uint64_t gap = first[d] > entry.last_ns[d] ? first[d] - entry.last_ns[d] : 0;

			entry.iat_bins[d][tg_iat_bin(
			    static_cast<tg_u32>(std::min<uint64_t>(gap >> TG_TICK_SHIFT, 0xffffffffu)))]++;
		}
		if (entry.first_ns[d] == 0 || first[d] < entry.first_ns[d])
			entry.first_ns[d] = first[d];
		entry.last_ns[d] = std::max(entry.last_ns[d], last);
		entry.packets[d] += delta.packets[d];
		entry.octets[d] += delta.octets[d];
		for (int i = 0; i < TG_SIZE_BINS; i++)
			entry.size_bins[d][i] += delta.size_bins[d][i];
		for (int i = 0; i < TG_IAT_BINS; i++)
			entry.iat_bins[d][i] += delta.iat_bins[d][i];
		for (int i = 0; i < TG_FLAG_COUNTS; i++)
			entry.flag_counts[d][i] += delta.flag_counts[d][i];
		entry.ttl_min[d] = std::min(entry.ttl_min[d], delta.ttl_min[d]);
		entry.ttl_max[d] = std::max(entry.ttl_max[d], delta.ttl_max[d]);
		entry.window_min[d] = std::min(entry.window_min[d], delta.window_min[d]);
		entry.window_max[d] = std::max(entry.window_max[d], delta.window_max[d]);
		entry.ingress_ifindex[d] = delta.ingress_ifindex[d];
		entry.tos[d] = delta.tos[d];
		if (delta.mss[d] != 0)
			entry.mss[d] = delta.mss[d];
		if (delta.window_scale[d] != 0)
			entry.window_scale[d] = delta.window_scale[d];
		if (entry.head[d][0] == 0 && delta.head[d][0] != 0)
			std::memcpy(entry.head[d], delta.head[d], TG_HEAD_BYTES);
	}
	for (int d = 0; d < 2; d++) {
		if (delta.seen >> d & 1) {
			uint8_t continues = delta.state & TG_STATE_CONTINUES ? 1 : 0;

			entry.kernel_counts =
			    static_cast<uint8_t>((entry.kernel_counts & ~(1 << d)) | continues << d);
		}
	}
	for (int i = 0; i < delta.payload_count && entry.payload_count < TG_FIRST_PAYLOADS; i++)
		entry.first_payload[entry.payload_count++] = delta.first_payload[i];
	entry.syn |= (delta.state & TG_STATE_SYN_LOWER ? 1 : 0) | (delta.state & TG_STATE_SYN_UPPER ? 2 : 0);
	entry.fin |= (delta.state & TG_STATE_FIN_LOWER ? 1 : 0) | (delta.state & TG_STATE_FIN_UPPER ? 2 : 0);
	entry.reset |= (delta.state & TG_STATE_RST) != 0;
	if (delta.rtt_tick != 0 && entry.rtt_tick == 0)
		entry.rtt_tick = delta.rtt_tick;
	counters_.merged_records++;
	counters_.merged_packets += static_cast<uint64_t>(delta.packets[0]) + delta.packets[1];
	counters_.merged_octets += static_cast<uint64_t>(delta.octets[0]) + delta.octets[1];
}

uint64_t FlowTable::DueNs(const Entry &entry) const
{
	uint64_t quiet = entry.Ended() ? 0 : options_.idle_ns;
	uint64_t idle = entry.Last() + quiet + options_.grace_ns;

	return entry.Empty() ? idle : std::min(idle, entry.record_start_ns + options_.active_ns);
}

void FlowTable::Schedule(uint32_t index, uint64_t due_ns)
{
	// At least one step ahead, at most one turn: entries that are not due yet are simply queued again.
	uint64_t step = std::clamp(due_ns / kWheelStepNs, wheel_now_ + 1, wheel_now_ + kWheelSlots - 1);
	uint32_t &head = wheel_[step % kWheelSlots];

	At(index).wheel_next = head;
	head = index;
}

void FlowTable::Remove(uint32_t index)
{
	Entry &entry = At(index);
	uint64_t at = entry.hash & index_mask_;

	while (static_cast<uint32_t>(index_[at]) != index + 1)
		at = (at + 1) & index_mask_;
	// Backward-shift deletion keeps every probe sequence unbroken without tombstones (Knuth 6.4,
	// algorithm R).
	for (uint64_t next = (at + 1) & index_mask_; index_[next] != 0; next = (next + 1) & index_mask_) {
		uint64_t home = At(static_cast<uint32_t>(index_[next]) - 1).hash & index_mask_;

		if (((next - home) & index_mask_) >= ((next - at) & index_mask_)) {
			index_[at] = index_[next];
			at = next;
		}
	}
	index_[at] = 0;
	if (entry.aggregate)
		aggregates_--;
	entry.used = false;
	counters_.flows_active--;
	free_.push_back(index);
}

void FlowTable::Advance(const ClockBase &clock)
{
	uint64_t target = clock.now_ns / kWheelStepNs;

	if (wheel_now_ == 0 || target < wheel_now_ || target - wheel_now_ > kWheelSlots)
		wheel_now_ = target > kWheelSlots ? target - kWheelSlots : 0;
	for (; wheel_now_ < target; wheel_now_++) {
		uint32_t index = wheel_[wheel_now_ % kWheelSlots];

		wheel_[wheel_now_ % kWheelSlots] = kNone;
		while (index != kNone) {
			Entry &entry = At(index);
			uint32_t next = entry.wheel_next;
			uint64_t quiet = entry.Ended() ? 0 : options_.idle_ns;
			bool over = clock.now_ns >= entry.Last() + quiet + options_.grace_ns;
			bool written = true;

			if (!entry.Empty() &&
			    (over || clock.now_ns >= entry.record_start_ns + options_.active_ns)) {
				EndReason reason = !over	   ? EndReason::Active
						   : entry.Ended() ? EndReason::EndDetected
								   : EndReason::Idle;
				written = Emit(entry, reason, clock.unix_offset);
			}
			if (over && written)
				Remove(index);
			else
				Schedule(index, written ? DueNs(entry) : 0);
			index = next;
		}
	}
}

bool FlowTable::FlushAll(const ClockBase &clock)
{
	bool complete = true;

	for (uint32_t &head : wheel_) {
		uint32_t index = head;

		head = kNone;
		while (index != kNone) {
			Entry &entry = At(index);
			uint32_t next = entry.wheel_next;

			if (complete &&
			    (entry.Empty() || Emit(entry, EndReason::Forced, clock.unix_offset))) {
				Remove(index);
			} else {
				complete = false;
				entry.wheel_next = head;
				head = index;
			}
			index = next;
		}
	}
	return complete;
}

bool FlowTable::Emit(Entry &entry, EndReason reason, int64_t unix_offset)
{
	if (!writer_.BeginRow())
		return false;
	if (entry.source < 0) {
		uint8_t syn = entry.syn;

		if (syn == 1 || syn == 2) {
			entry.source = syn == 1 ? 0 : 1;
			entry.biflow = 1;
		} else if (entry.key.lower_port != entry.key.upper_port &&
			   entry.key.kind != TG_KIND_UNPARSED && entry.key.kind != TG_KIND_NON_IP &&
			   entry.key.lower_port && entry.key.upper_port &&
			   std::min(entry.key.lower_port, entry.key.upper_port) < 1024 &&
			   std::max(entry.key.lower_port, entry.key.upper_port) >= 1024) {
			// The well-known port answers.
			entry.source = entry.key.lower_port < entry.key.upper_port ? 1 : 0;
			entry.biflow = 3;
		} else {
			entry.source = static_cast<int8_t>(entry.first_side);
			entry.biflow = 0;
		}
	}
	WriteRow(entry, entry.aggregate ? EndReason::LackOfResources : reason, unix_offset, entry.source);
	uint64_t packets = entry.packets[0] + entry.packets[1];

	counters_.emitted_records++;
	counters_.emitted_packets += packets;
	writer_.EndRow(packets, entry.octets[0] + entry.octets[1]);
	entry.StartRecord(entry.Last());
	return true;
}

uint64_t FlowTable::ResidentPackets() const
{
	uint64_t packets = 0;

	for (const auto &chunk : chunks_) {
		for (uint32_t i = 0; i < kChunk; i++) {
			if (chunk[i].used)
				packets += chunk[i].packets[0] + chunk[i].packets[1];
		}
	}
	return packets;
}

} // namespace tidegate
