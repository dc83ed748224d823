// The entries of the table and how they are found.
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
constexpr uint32_t kVisitAhead = 8; // entries
} // namespace

FlowTable::FlowTable(const FlowTableOptions &options, SlabWriter &writer, StateFile *state)
    : options_(options), writer_(writer), state_(state), mask_(options.addresses), index_(1 << 14),
      wheel_(kWheelSlots)
{
	if (state_)
		Recover();
}

FlowTable::~FlowTable() = default;

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

	entry.Begin(key, hash);
	entry.aggregate = aggregate;
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
		uint64_t hash = tg_hash(&folded, kTableSecret);
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

void FlowTable::Remove(uint32_t index)
{
	Entry &entry = At(index);

	index_.Remove(TagOf(entry.hash), index);
	if (applications_)
		applications_->End(entry.key, entry.Last());
	if (entry.aggregate)
		aggregates_--;
	entry.used = false;
	counters_.flows_active--;
	free_.push_back(index);
}

void FlowTable::VisitFlows(const std::function<void(const tg_flow_key &)> &visit) const
{
	for (uint32_t i = 0; i < used_; i++) {
		const Entry &entry = At(i);
		const Entry &soon = At(std::min(i + kVisitAhead, used_ - 1));

		__builtin_prefetch(&soon.key);
		__builtin_prefetch(&soon.used);
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
