// The flow table in memory that outlives the process: how changes are made undoable, and how a later process
// takes the entries over.
#include "flow_entry.h"

namespace tidegate
{

StateShape FlowTable::ShapeOf(uint32_t datapath, uint32_t cpus, const std::vector<SlabMemory> &slabs)
{
	static_assert(offsetof(Entry, first_ns) == 64 && offsetof(Entry, octets) == 128 &&
		      offsetof(Entry, low) == 192 && offsetof(Entry, head) == Entry::kHotBytes);
	static_assert(sizeof(Entry) <= StateFile::kImageBytes);
	return {.datapath = datapath,
		.cpus = cpus,
		.slabs = static_cast<uint32_t>(slabs.size()),
		.entry_bytes = sizeof(Entry),
		.chunk_entries = kChunk,
		.slab_bytes = slabs[0].bytes,
		.columns = ColumnsHash()};
}

void FlowTable::Protect(uint32_t index)
{
	if (state_)
		state_->Begin(index, index == kNone ? nullptr : &At(index),
			      index == kNone ? 0 : At(index).ChangingBytes(), writer_.mark(), cpu_);
}

void FlowTable::Settle()
{
	if (state_)
		state_->Commit();
}

bool FlowTable::AddChunk()
{
	if (!state_) {
		pages_.emplace_back(kChunk);
		chunks_.push_back(pages_.back().data());
		return true;
	}
	void *chunk = state_->AddChunk();

	if (chunk)
		chunks_.push_back(static_cast<Entry *>(chunk));
	return chunk != nullptr;
}

// Where memory can run out, some of it is kept for the aggregates that take what finds none.
bool FlowTable::RoomForFlow()
{
	size_t left = free_.size() + (chunks_.size() * kChunk - used_);

	return !state_ || left > kReserve || AddChunk();
}

// Everything but the entries themselves is made anew from them.
void FlowTable::Recover()
{
	for (size_t number = 0; number < state_->chunk_count(); number++)
		chunks_.push_back(static_cast<Entry *>(state_->chunk(number)));
	used_ = static_cast<uint32_t>(chunks_.size() * kChunk);
	for (uint32_t index = 0; index < used_; index++) {
		Entry &entry = At(index);

		if (!entry.used) {
			free_.push_back(index);
			continue;
		}
		if (index_.HalfFull())
			index_.Grow();
		index_.Insert(static_cast<uint32_t>(entry.hash >> 32), index);
		aggregates_ += entry.aggregate;
		counters_.flows_active++;
		inherited_packets_ += entry.packets[0] + entry.packets[1];
		inherited_octets_ += entry.octets[0] + entry.octets[1];
		Schedule(index, DueNs(entry));
	}
	if (state_->recovered())
		writer_.Recover(&counters_.emitted_packets, &inherited_octets_);
	inherited_packets_ += counters_.emitted_packets;
	counters_.merged_packets = inherited_packets_;
	counters_.merged_octets = inherited_octets_;
	counters_.emitted_records = writer_.rows();
}

uint64_t FlowTable::MemoryBytes() const
{
	return chunks_.size() * kChunk * sizeof(Entry) + index_.bytes();
}

} // namespace tidegate
