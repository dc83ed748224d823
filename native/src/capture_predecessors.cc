// Datapaths of other layouts: what they hold becomes ours, and then they are gone.
#include "capture.h"

namespace tidegate
{

namespace
{
constexpr size_t kBatch = 512;
} // namespace

void Capture::DrainPredecessors()
{
	for (auto &predecessor : loader_.predecessors())
		Drain(*predecessor);
	loader_.predecessors().clear();
}

// Every step can be the last one of this process: the next one repeats it without counting anything twice.
void Capture::Drain(Predecessor &predecessor)
{
	const bool owns_state = state_ && state_->predecessor() == predecessor.datapath();
	const bool begun = loader_.HasRetired(predecessor);
	uint32_t of = 0;

	predecessor.Halt();
	for (uint32_t cpu = 0; state_ && cpu < loader_.cpus(); cpu++) {
		RingProgress &drained = state_->progress(state_->drained_slot(cpu));
		const RingProgress &merged = state_->progress(cpu);

		if (owns_state)
			predecessor.Taken(cpu, merged.end, merged.packets, merged.octets);
		else if (begun)
			predecessor.Drained(cpu, drained.end);
		else
			drained = {};
	}
	loader_.Retire(predecessor);
	if (owns_state)
		state_->Rebind();
	DrainedBatch batch;

	predecessor.Visit([&](const Predecessor::Part &part) {
		if (part.cpu != of || batch.records.size() == kBatch)
			MergeDrained(predecessor, of, batch);
		of = part.cpu;
		batch.records.push_back(part.delta);
		batch.ends.push_back(part.position);
	});
	MergeDrained(predecessor, of, batch);
	predecessor.Remove();
}

void Capture::MergeDrained(Predecessor &predecessor, uint32_t cpu, DrainedBatch &batch)
{
	if (batch.records.empty())
		return;
	FlowTable::Origin origin{.cpu = state_ ? state_->drained_slot(cpu) : cpu, .ends = batch.ends.data()};

	for (const tg_delta &delta : batch.records) {
		drained_packets_ += static_cast<uint64_t>(delta.packets[0]) + delta.packets[1];
		drained_octets_ += static_cast<uint64_t>(delta.octets[0]) + delta.octets[1];
	}
	table_.Merge({.first = batch.records.data(), .count = batch.records.size()}, KernelClock(), &origin);
	predecessor.Drained(cpu, batch.ends.back());
	batch.records.clear();
	batch.ends.clear();
}

} // namespace tidegate
