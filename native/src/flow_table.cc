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

// How many records ahead of the merge a record's index line, and later its entry, are asked for: the cache
// misses of so many records overlap.
constexpr size_t kIndexAhead = 12, kEntryAhead = 6;
constexpr size_t kLine = 64;

constexpr int kSynBit = 1; // in flag_counts

uint32_t TagOf(uint64_t hash)
{
	return static_cast<uint32_t>(hash >> 32);
}

uint64_t EarlierOf(const uint64_t *times)
{
	return !times[0] ? times[1] : !times[1] ? times[0] : std::min(times[0], times[1]);
}
} // namespace

FlowTable::FlowTable(const FlowTableOptions &options, SlabWriter &writer, StateFile *state)
    : options_(options), writer_(writer), state_(state), mask_(options.addresses), index_(1 << 14),
      wheel_(kWheelSlots, kNone)
{
	if (state_)
		Recover();
}

FlowTable::~FlowTable() = default;

uint32_t FlowTable::Find(const tg_flow_key &key, uint64_t hash) const
{
	return index_.Find(TagOf(hash), [&](uint32_t at) { return tg_key_equal(&At(at).key, &key); });
}

uint32_t FlowTable::Create(const tg_flow_key &key, uint64_t hash, bool aggregate)
{
	uint32_t index;

	if (index_.HalfFull())
		index_.Grow();
	if (!free_.empty()) {
		index = free_.back();
		free_.pop_back();
	} else {
		if (used_ == chunks_.size() * kChunk && !AddChunk())
			std::abort(); // the reserve makes this impossible
		index = used_++;
	}
	Protect(index);
	Entry &entry = At(index);

	// Memory that was never used is zero already, and writing it twice costs a cache line each.
	if (entry.hash != 0)
		entry = Entry{};
	entry.key = key;
	entry.hash = hash;
	entry.aggregate = aggregate;
	entry.wheel_next = kNone;
	entry.StartFlow();
	index_.Insert(TagOf(hash), index);
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
		folded.vlan = folded.inner_vlan = folded.tunnel_kind = 0;
		folded.tunnel_id = 0;
	}
	return kNone;
}

uint32_t FlowTable::FindOrCreate(const tg_flow_key &key, uint64_t hash)
{
	uint32_t index = Find(key, hash);

	if (index != kNone)
		return index;
	if (counters_.flows_active >= options_.max_flows || !RoomForFlow())
		return FindOrFold(key);
	return Create(key, hash, false);
}

void FlowTable::PrefetchEntry(uint64_t hash) const
{
	uint32_t index = index_.Find(TagOf(hash), [](uint32_t) { return true; });

	if (index == kNone)
		return;
	const uint8_t *entry = reinterpret_cast<const uint8_t *>(&At(index));

	for (size_t line = 0; line < sizeof(Entry); line += kLine)
		__builtin_prefetch(entry + line, 1);
}

void FlowTable::Merge(const tg_delta *records, size_t count, const ClockBase &clock, const Origin *from)
{
	uint64_t hashes[16];

	cpu_ = from ? from->cpu : 0;

	static_assert(kIndexAhead < 16 && kEntryAhead < kIndexAhead);
	for (size_t i = 0; i < count + kIndexAhead; i++) {
		if (i < count) {
			hashes[i % 16] = tg_hash(&records[i].key, kSecret);
			index_.Prefetch(TagOf(hashes[i % 16]));
		}
		if (i >= kEntryAhead && i - kEntryAhead < count)
			PrefetchEntry(hashes[(i - kEntryAhead) % 16]);
		if (i < kIndexAhead)
			continue;
		const tg_delta &record = records[i - kIndexAhead];

		MergeOne(record, hashes[(i - kIndexAhead) % 16], clock);
		if (state_ && from) {
			RingProgress &progress = state_->progress(cpu_);

			progress.packets += static_cast<uint64_t>(record.packets[0]) + record.packets[1];
			progress.octets += static_cast<uint64_t>(record.octets[0]) + record.octets[1];
			progress.end = from->ends[i - kIndexAhead];
		}
		Settle();
	}
}

void FlowTable::MergeOne(const tg_delta &delta, uint64_t hash, const ClockBase &clock)
{
	uint64_t first[2] = {0, 0};
	bool empty = (delta.packets[0] | delta.packets[1]) == 0;

	for (int d = 0; d < 2; d++) {
		if (delta.packets[d] != 0)
			first[d] = clock.Extend(delta.first_tick[d]);
	}
	counters_.merged_records++;
	counters_.merged_packets += static_cast<uint64_t>(delta.packets[0]) + delta.packets[1];
	counters_.merged_octets += static_cast<uint64_t>(delta.octets[0]) + delta.octets[1];
	// An empty record only says that a flow left the source; nobody misses a flow that has left here too.
	uint32_t index = empty			       ? Find(delta.key, hash)
			 : delta.seen & TG_SEEN_FOLDED ? FindOrFold(delta.key)
						       : FindOrCreate(delta.key, hash);

	if (index == kNone)
		Protect(kNone);
	else
		MergeFound(index, delta, first, clock);
}

void FlowTable::MergeFound(uint32_t index, const tg_delta &delta, const uint64_t *first,
			   const ClockBase &clock)
{
	Entry &entry = At(index);
	bool queued = entry.flow_id != 0, empty = (delta.packets[0] | delta.packets[1]) == 0;

	if (queued)
		Protect(index);

	if (queued && !empty)
		EndBefore(entry, delta, EarlierOf(first), clock);
	bool fresh = entry.flow_id == 0;

	MergeInto(entry, delta, first, clock);
	// Stable across this flow's records, different for a later flow with the same key.
	if (fresh)
		entry.flow_id = (entry.hash ^ (entry.record_start_ns * 0x9e3779b97f4a7c15ull)) | 1;
	if (!queued)
		Schedule(index, DueNs(entry));
}

// What comes may be another record or another flow than what the entry holds, although no timer has noticed
// yet: the times in the records decide, so that the same packets give the same records at any speed. Without
// a free slab everything is merged instead, and nothing is lost.
void FlowTable::EndBefore(Entry &entry, const tg_delta &delta, uint64_t start, const ClockBase &clock)
{
	uint64_t gap = start > entry.Last() ? start - entry.Last() : 0;
	// While the source keeps the flow it counts its gaps itself: the flow goes on.
	bool left = entry.kernel_counts == 0 && !entry.aggregate;
	bool silent = left && gap > options_.idle_ns;
	bool again = left && entry.Ended() && (delta.flag_counts[0][kSynBit] | delta.flag_counts[1][kSynBit]);

	if (silent || again) {
		EndReason reason = entry.Ended() ? EndReason::EndDetected : EndReason::Idle;

		if (!entry.Empty() && !Emit(entry, reason, clock.unix_offset))
			return;
		entry.StartAnotherFlow();
		counters_.flows_created++;
	} else if (!entry.Empty() && start >= entry.record_start_ns + options_.active_ns) {
		Emit(entry, EndReason::Active, clock.unix_offset);
	}
}

void FlowTable::MergeDirection(Entry &entry, const tg_delta &delta, int d, uint64_t first,
			       const ClockBase &clock)
{
	// The one gap that the source could not see: from the flow's last packet in an earlier residency.
	if (entry.last_ns[d] != 0 && !(entry.kernel_counts >> d & 1)) {
		uint64_t gap = first > entry.last_ns[d] ? first - entry.last_ns[d] : 0;

		entry.iat_bins[d][tg_iat_bin(
		    static_cast<tg_u32>(std::min<uint64_t>(gap >> TG_TICK_SHIFT, 0xffffffffu)))]++;
	}
	if (entry.first_ns[d] == 0 || first < entry.first_ns[d])
		entry.first_ns[d] = first;
	entry.last_ns[d] = std::max(entry.last_ns[d], clock.Extend(delta.last_tick[d]));
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
	const uint8_t none[TG_HEAD_BYTES] = {};

	if (!std::memcmp(entry.head[d], none, TG_HEAD_BYTES))
		std::memcpy(entry.head[d], delta.head[d], TG_HEAD_BYTES);
}

void FlowTable::MergeInto(Entry &entry, const tg_delta &delta, const uint64_t *first, const ClockBase &clock)
{
	uint8_t continues = delta.state & TG_STATE_CONTINUES ? delta.seen & 3 : 0;

	if (entry.Empty()) {
		if (entry.flow_id == 0)
			entry.first_side = delta.state & TG_STATE_FIRST_UPPER ? 1 : 0;
		// An entry without packets was zeroed when its last record left.
		entry.record_start_ns = EarlierOf(first);
	}
	entry.sampling = std::max(entry.sampling, delta.entry_tick);
	for (int d = 0; d < 2; d++) {
		if (delta.packets[d] != 0)
			MergeDirection(entry, delta, d, first[d], clock);
	}
	entry.kernel_counts = static_cast<uint8_t>((entry.kernel_counts & ~delta.seen) | continues);
	for (int i = 0; i < delta.payload_count && entry.payload_count < TG_FIRST_PAYLOADS; i++)
		entry.first_payload[entry.payload_count++] = delta.first_payload[i];
	entry.syn |= (delta.state & TG_STATE_SYN_LOWER ? 1 : 0) | (delta.state & TG_STATE_SYN_UPPER ? 2 : 0);
	entry.fin |= (delta.state & TG_STATE_FIN_LOWER ? 1 : 0) | (delta.state & TG_STATE_FIN_UPPER ? 2 : 0);
	entry.reset |= (delta.state & TG_STATE_RST) != 0;
	if (delta.rtt_tick != 0 && entry.rtt_tick == 0)
		entry.rtt_tick = delta.rtt_tick;
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
	At(index).wheel_epoch = epoch_;
	head = index;
}

void FlowTable::Remove(uint32_t index)
{
	Entry &entry = At(index);

	index_.Remove(TagOf(entry.hash), index);
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
				Protect(index);
				written = Emit(entry, reason, clock.unix_offset);
			} else if (over) {
				Protect(index);
			}
			if (over && written)
				Remove(index);
			Settle();
			if (!over || !written)
				Schedule(index, written ? DueNs(entry) : 0);
			index = next;
		}
	}
}

// In the order of memory, which is much faster than the order of time. The wheel is emptied as a whole first;
// flows that come while a flush waits for slabs are queued in it anew, and only give their record.
bool FlowTable::FlushAll(const ClockBase &clock)
{
	if (flush_at_ == kNone) {
		std::fill(wheel_.begin(), wheel_.end(), kNone);
		epoch_++;
		flush_at_ = 0;
	}
	for (; flush_at_ < used_; flush_at_++) {
		if (flush_at_ + kEntryAhead < used_)
			index_.Prefetch(TagOf(At(flush_at_ + kEntryAhead).hash));
		Entry &entry = At(flush_at_);

		if (!entry.used)
			continue;
		Protect(flush_at_);
		bool written = entry.Empty() || Emit(entry, EndReason::Forced, clock.unix_offset);

		if (written && entry.wheel_epoch != epoch_)
			Remove(flush_at_);
		Settle();
		if (!written)
			return false;
	}
	flush_at_ = kNone;
	if (counters_.flows_active == 0) {
		free_.clear();
		used_ = 0;
	}
	return true;
}

// Who opened the flow becomes the source: by the TCP handshake or the ICMP request, else by the better-known
// port, else by who was seen first.
void FlowTable::ChooseSource(Entry &entry)
{
	const tg_flow_key &key = entry.key;
	const bool icmp = key.protocol == 1 || key.protocol == 58;
	uint8_t opened = entry.syn;
	uint16_t low = std::min(key.lower_port, key.upper_port),
		 high = std::max(key.lower_port, key.upper_port);

	if (opened == 0 && icmp && low == 0 && high != 0)
		opened = key.lower_port != 0 ? 1 : 2;
	// A SYN of a side that never sent one without ACK is the answer to a SYN that was not seen.
	if (opened == 0 && !icmp &&
	    (entry.flag_counts[0][kSynBit] == 0) != (entry.flag_counts[1][kSynBit] == 0))
		opened = entry.flag_counts[0][kSynBit] != 0 ? 2 : 1;
	if (opened == 1 || opened == 2) {
		entry.source = opened == 1 ? 0 : 1;
		entry.biflow = 1;
	} else if ((key.kind == TG_KIND_IPV4 || key.kind == TG_KIND_IPV6) && !icmp && low != 0 &&
		   low < 1024 && high >= 1024) {
		entry.source = key.lower_port == low ? 1 : 0;
		entry.biflow = 3;
	} else {
		entry.source = static_cast<int8_t>(entry.first_side);
		entry.biflow = 0;
	}
}

bool FlowTable::Emit(Entry &entry, EndReason reason, int64_t unix_offset)
{
	if (!writer_.BeginRow())
		return false;
	if (entry.source < 0)
		ChooseSource(entry);
	WriteRow(entry, entry.aggregate ? EndReason::LackOfResources : reason, unix_offset, entry.source);
	uint64_t packets = entry.packets[0] + entry.packets[1];

	counters_.emitted_records++;
	counters_.emitted_packets += packets;
	writer_.EndRow(packets, entry.octets[0] + entry.octets[1]);
	entry.StartRecord(entry.Last());
	return true;
}

void FlowTable::VisitFlows(const std::function<void(const tg_flow_key &)> &visit) const
{
	for (uint32_t i = 0; i < used_; i++) {
		const Entry &entry = At(i);

		if (entry.used && !entry.aggregate)
			visit(entry.key);
	}
}

uint64_t FlowTable::ResidentPackets() const
{
	uint64_t packets = 0;

	for (uint32_t index = 0; index < used_; index++) {
		if (At(index).used)
			packets += At(index).packets[0] + At(index).packets[1];
	}
	return packets;
}

} // namespace tidegate
