// When records end, and what they say about who opened the flow.
#include "flow_table.h"

#include <algorithm>

#include "flow_entry.h"

namespace tidegate
{

namespace
{
// Entries that are looked at together, as in flow_merge.cc.
constexpr size_t kGroup = 32;
// How many entries ahead of its end an entry's index line is asked for by a flush.
constexpr size_t kIndexAhead = 6;
} // namespace

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

	At(index).wheel_epoch = epoch_;
	wheel_[step % kWheelSlots].push_back(index);
}

bool FlowTable::Over(const Entry &entry, const ClockBase &clock) const
{
	uint64_t quiet = entry.Ended() ? 0 : options_.idle_ns;

	return clock.now_ns >= entry.Last() + quiet + options_.grace_ns;
}

// Whether a flow is over is in the first lines of its entry; of one that is, all of it and its index line are
// needed.
void FlowTable::PrefetchDue(const uint32_t *due, size_t count, const ClockBase &clock) const
{
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(&At(due[i]).record_start_ns, 1);
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(&At(due[i]).reset, 1);
	for (size_t i = 0; i < count; i++) {
		const Entry &entry = At(due[i]);

		if (!Over(entry, clock))
			continue;
		__builtin_prefetch(&entry, 1);
		entry.PrefetchRest();
		index_.Prefetch(TagOf(entry.hash));
	}
}

// Ends what is due of one entry, or queues it again.
void FlowTable::EndDue(uint32_t index, const ClockBase &clock)
{
	Entry &entry = At(index);
	bool over = Over(entry, clock);
	bool written = true;

	if (!entry.Empty() && (over || clock.now_ns >= entry.record_start_ns + options_.active_ns)) {
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
}

void FlowTable::Advance(const ClockBase &clock)
{
	uint64_t target = clock.now_ns / kWheelStepNs;

	if (wheel_now_ == 0 || target < wheel_now_ || target - wheel_now_ > kWheelSlots)
		wheel_now_ = target > kWheelSlots ? target - kWheelSlots : 0;
	for (; wheel_now_ < target; wheel_now_++) {
		due_.swap(wheel_[wheel_now_ % kWheelSlots]);
		for (size_t i = 0; i < due_.size(); i++) {
			if (i % kGroup == 0)
				PrefetchDue(&due_[i], std::min(kGroup, due_.size() - i), clock);
			EndDue(due_[i], clock);
		}
		due_.clear();
	}
}

// In the order of memory, which is much faster than the order of time. The wheel is emptied as a whole first;
// flows that come while a flush waits for slabs are queued in it anew, and only give their record.
bool FlowTable::FlushAll(const ClockBase &clock)
{
	if (flush_at_ == kNone) {
		for (std::vector<uint32_t> &slot : wheel_)
			slot.clear();
		epoch_++;
		flush_at_ = 0;
	}
	for (; flush_at_ < used_; flush_at_++) {
		if (flush_at_ + kIndexAhead < used_)
			index_.Prefetch(TagOf(At(flush_at_ + kIndexAhead).hash));
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
	if (opened == 0 && !icmp && entry.Counted(0, kSynBit) != entry.Counted(1, kSynBit))
		opened = entry.Counted(0, kSynBit) ? 2 : 1;
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
	const std::string *application =
	    applications_ ? applications_->Find(entry.key, entry.Last()) : nullptr;

	if (!writer_.BeginRow(application ? application->size() : 0))
		return false;
	if (entry.source < 0)
		ChooseSource(entry);
	WriteRow(entry, entry.aggregate ? EndReason::LackOfResources : reason, unix_offset, entry.source);
	writer_.SetText(application);
	uint64_t packets = entry.packets[0] + entry.packets[1];

	counters_.emitted_records++;
	counters_.emitted_packets += packets;
	writer_.EndRow(packets, entry.octets[0] + entry.octets[1]);
	entry.StartRecord(entry.Last());
	return true;
}

} // namespace tidegate
