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
	batch_.clear();
	ends_.clear();
	predecessor.Visit([&](const Predecessor::Part &part) {
		if (part.cpu != of || batch_.size() == kBatch)
			MergeDrained(predecessor, of);
		of = part.cpu;
		batch_.push_back(part.delta);
		ends_.push_back(part.position);
	});
	MergeDrained(predecessor, of);
	batch_.resize(kBatch);
	ends_.resize(kBatch);
	predecessor.Remove();
}

void Capture::MergeDrained(Predecessor &predecessor, uint32_t cpu)
{
	if (batch_.empty())
		return;
	FlowTable::Origin origin{state_ ? state_->drained_slot(cpu) : cpu, ends_.data()};

	for (const tg_delta &delta : batch_) {
		drained_packets_ += static_cast<uint64_t>(delta.packets[0]) + delta.packets[1];
		drained_octets_ += static_cast<uint64_t>(delta.octets[0]) + delta.octets[1];
	}
	table_.Merge(batch_.data(), batch_.size(), KernelClock(), &origin);
	predecessor.Drained(cpu, ends_.back());
	batch_.clear();
	ends_.clear();
}

} // namespace tidegate
