// Adding delta records to the flows of the table.
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
// Records that are looked up together. What such a look-up costs is the address translation of a page that no
// TLB holds any more, much more than the cache misses behind it, and a processor that waits for one does not
// get as far as the next as long as a merge lies between the two. So the places of a group are asked for in
// loops that do nothing else.
constexpr size_t kGroup = 16;

uint64_t EarlierOf(const uint64_t *times)
{
	return !times[0] ? times[1] : !times[1] ? times[0] : std::min(times[0], times[1]);
}
} // namespace

void FlowTable::HashGroup(const DeltaRun &records, size_t start, uint64_t *hashes) const
{
	for (size_t i = 0; i < kGroup && start + i < records.count; i++) {
		hashes[i] = tg_hash(&records[start + i].key, kTableSecret);
		index_.Prefetch(TagOf(hashes[i]));
	}
}

// First one line of each entry, for the translations, then all that a merge touches.
void FlowTable::PrefetchGroup(const uint64_t *hashes, size_t count) const
{
	const Entry *entries[kGroup];

	for (size_t i = 0; i < count; i++) {
		uint32_t index = index_.Find(TagOf(hashes[i]), [](uint32_t) { return true; });

		entries[i] = nullptr;
		if (index == kNone)
			continue;
		entries[i] = &At(index);
		__builtin_prefetch(entries[i], 1);
	}
	for (size_t i = 0; i < count; i++) {
		if (entries[i])
			entries[i]->PrefetchRest();
	}
	// GCC takes a function that does nothing but prefetch for one without effect, and drops the calls of
	// it.
	asm volatile("");
}

void FlowTable::Merge(const DeltaRun &records, const ClockBase &clock, const Origin *from)
{
	uint64_t hashes[2][kGroup];

	cpu_ = from ? from->cpu : 0;
	HashGroup(records, 0, hashes[0]);
	for (size_t start = 0; start < records.count; start += kGroup) {
		const uint64_t *own = hashes[start / kGroup % 2];
		size_t count = std::min(kGroup, records.count - start);

		HashGroup(records, start + kGroup, hashes[(start / kGroup + 1) % 2]);
		PrefetchGroup(own, count);
		for (size_t i = 0; i < count; i++) {
			const tg_delta &record = records[start + i];

			MergeOne(record, own[i], clock);
			if (state_ && from) {
				RingProgress &progress = state_->progress(cpu_);

				progress.packets +=
				    static_cast<uint64_t>(record.packets[0]) + record.packets[1];
				progress.octets += static_cast<uint64_t>(record.octets[0]) + record.octets[1];
				progress.end = from->EndOf(start + i);
			}
			Settle();
		}
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
		if (applications_)
			applications_->End(entry.key, entry.Last());
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
	const bool unseen = entry.last_ns[d] != 0 && !(entry.kernel_counts >> d & 1);
	const uint64_t gap = unseen && first > entry.last_ns[d] ? first - entry.last_ns[d] : 0;

	if (entry.first_ns[d] == 0 || first < entry.first_ns[d])
		entry.first_ns[d] = first;
	entry.last_ns[d] = std::max(entry.last_ns[d], clock.Extend(delta.last_tick[d]));
	entry.octets[d] += delta.octets[d];
	entry.AddBins(delta, d);
	if (unseen)
		entry.AddGap(d, tg_iat_bin(static_cast<tg_u32>(
				    std::min<uint64_t>(gap >> TG_TICK_SHIFT, 0xffffffffu))));
	entry.packets[d] += delta.packets[d];
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

	if (!(entry.heads >> d & 1) && std::memcmp(delta.head[d], none, TG_HEAD_BYTES)) {
		// The other direction's is anything until it is there.
		std::memcpy(entry.head[d], delta.head[d], TG_HEAD_BYTES);
		entry.heads = static_cast<uint8_t>(entry.heads | 1 << d);
	}
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

} // namespace tidegate
