// The user-space flow table: merges additive deltas into bidirectional flow records (RFC 5103), ends records
// by active and idle timeout (RFC 7011), and writes them out as columns. One thread owns it.
#ifndef TIDEGATE_FLOW_TABLE_H
#define TIDEGATE_FLOW_TABLE_H

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "address_mask.h"
#include "application_source.h"
#include "delta_run.h"
#include "pages.h"
#include "slabs.h"
#include "tag_index.h"

namespace tidegate
{

// How 32-bit ticks of a source become nanoseconds of Unix time.
struct ClockBase {
	uint64_t now_ns;     // the source's clock at the time of the merge
	int64_t unix_offset; // Unix time minus the source's clock

	// The full time of a tick that is at most 73 minutes old (a little in the future counts as now).
	uint64_t Extend(uint32_t tick) const
	{
		uint64_t now_tick = now_ns >> TG_TICK_SHIFT;
		uint32_t age = static_cast<uint32_t>(now_tick) - tick;

		if (age > 0xf0000000u)
			age = 0;
		return (now_tick - age) << TG_TICK_SHIFT;
	}
};

// flowEndReason, IANA IPFIX element 136.
enum class EndReason : uint8_t { Idle = 1, Active = 2, EndDetected = 3, Forced = 4, LackOfResources = 5 };

struct FlowTableOptions {
	uint64_t idle_ns;
	uint64_t active_ns;
	uint64_t grace_ns;  // how long a delta may wait in the source before it is merged
	uint32_t max_flows; // more are folded into per-prefix aggregates
	uint32_t sampling_interval;
	AddressMaskOptions addresses{};
};

struct FlowTableCounters {
	uint64_t merged_records, merged_packets, merged_octets;
	uint64_t emitted_records, emitted_packets;
	uint64_t flows_created, flows_active, folded_records;
};

class FlowTable
{
      public:
	// With a `state`, entries live there and every change to them is one that a later process can undo;
	// what an earlier process left in it is taken over.
	FlowTable(const FlowTableOptions &options, SlabWriter &writer, StateFile *state = nullptr);
	~FlowTable();

	// Where the records of a run come from: the ring's position before the first, and how far each takes
	// it, or the position after each. With a state, how far a ring was merged is part of each change.
	struct Origin {
		uint32_t cpu;
		uint64_t start = 0, span = 0;
		const uint64_t *ends = nullptr;

		uint64_t EndOf(size_t i) const { return ends ? ends[i] : start + (i + 1) * span; }
	};
	void Merge(const DeltaRun &records, const ClockBase &clock, const Origin *from = nullptr);

	// The shape of a state for a table and its slabs.
	static StateShape ShapeOf(uint32_t datapath, uint32_t cpus, const std::vector<SlabMemory> &slabs);

	// Packets and octets taken over from an earlier process.
	uint64_t inherited_packets() const { return inherited_packets_; }
	uint64_t inherited_octets() const { return inherited_octets_; }

	// Records carry what these know of their flows from now on; null = nothing. Not owned.
	void Use(ApplicationSource *applications) { applications_ = applications; }

	// Memory held for entries and their index.
	uint64_t MemoryBytes() const;

	// Ends what is due. Records that find no free slab stay and are tried again: nothing is lost.
	void Advance(const ClockBase &clock);

	// Writes out everything. False when slabs ran out: call again when some came back.
	bool FlushAll(const ClockBase &clock);

	FlowTableCounters counters() const { return counters_; }

	// Visits the keys of all flows that are held one by one, not those that were folded.
	void VisitFlows(const std::function<void(const tg_flow_key &)> &visit) const;

	// Packets held in entries, counted one by one: the independent side of the conservation law.
	uint64_t ResidentPackets() const;

      private:
	struct Entry;
	static constexpr uint32_t kChunk = 4096, kNone = 0xffffffff;
	static constexpr uint32_t kAggregates = 1024;
	// Entries kept free for aggregates where memory can run out: those by prefix, and those of what is
	// left when there are too many, by protocol and kind.
	static constexpr uint32_t kReserve = 2048;
	static constexpr uint32_t kWheelSlots = 1024;
	static constexpr uint64_t kWheelStepNs = 1ull << 27; // 134 ms

	Entry &At(uint32_t index) const;
	void Recover();
	bool RoomForFlow();
	bool AddChunk();
	void Protect(uint32_t index);
	void Settle();
	uint32_t Find(const tg_flow_key &key, uint64_t hash) const;
	uint32_t Create(const tg_flow_key &key, uint64_t hash, bool aggregate);
	uint32_t FindOrCreate(const tg_flow_key &key, uint64_t hash);
	uint32_t FindOrFold(const tg_flow_key &key);
	void HashGroup(const DeltaRun &records, size_t start, uint64_t *hashes) const;
	void PrefetchGroup(const uint64_t *hashes, size_t count) const;
	bool Over(const Entry &entry, const ClockBase &clock) const;
	void PrefetchDue(const uint32_t *due, size_t count, const ClockBase &clock) const;
	void EndDue(uint32_t index, const ClockBase &clock);
	void MergeOne(const tg_delta &delta, uint64_t hash, const ClockBase &clock);
	void MergeFound(uint32_t index, const tg_delta &delta, const uint64_t *first, const ClockBase &clock);
	void MergeInto(Entry &entry, const tg_delta &delta, const uint64_t *first, const ClockBase &clock);
	void MergeDirection(Entry &entry, const tg_delta &delta, int d, uint64_t first,
			    const ClockBase &clock);
	void EndBefore(Entry &entry, const tg_delta &delta, uint64_t start, const ClockBase &clock);
	void Remove(uint32_t index);
	void Schedule(uint32_t index, uint64_t due_ns);
	uint64_t DueNs(const Entry &entry) const;
	bool Emit(Entry &entry, EndReason reason, int64_t unix_offset);
	static void ChooseSource(Entry &entry);
	void WriteRow(const Entry &entry, EndReason reason, int64_t unix_offset, int source);

	FlowTableOptions options_;
	SlabWriter &writer_;
	StateFile *state_;
	AddressMask mask_;
	ApplicationSource *applications_ = nullptr;
	FlowTableCounters counters_{};
	std::vector<Pages<Entry>> pages_; // without a state
	std::vector<Entry *> chunks_;
	uint32_t cpu_ = 0; // whose ring is being merged
	uint64_t inherited_packets_ = 0, inherited_octets_ = 0;
	std::vector<uint32_t> free_; // entries that were used and left
	uint32_t used_ = 0;	     // entries from this one on were never used
	TagIndex index_;
	std::vector<std::vector<uint32_t>> wheel_;
	std::vector<uint32_t> due_; // of the step that is being ended; empty between
	uint64_t wheel_now_ = 0;    // in wheel steps
	uint32_t epoch_ = 1;	    // how often the wheel was emptied, plus one
	uint32_t flush_at_ = kNone; // next entry of a flush that is not complete
	uint32_t aggregates_ = 0;
};

} // namespace tidegate

#endif
