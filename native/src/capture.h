// Reads the rings of a loaded datapath, merges them into flow records, and hands those over in slabs. One
// thread.
#ifndef TIDEGATE_CAPTURE_H
#define TIDEGATE_CAPTURE_H

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "applications.h"
#include "flow_table.h"
#include "head_reader.h"
#include "inheriting_mutex.h"
#include "loader.h"
#include "ring_reader.h"
#include "slabs.h"

namespace tidegate
{

struct CaptureOptions {
	FlowTableOptions table;
	std::chrono::milliseconds batch_age; // a slab that is not full is handed over after this
};

// Every term of the conservation law at one moment. Derived terms are differences of counters of one moment;
// the scanned ones are counted independently, entry by entry.
struct CaptureCounters {
	tg_counters kernel;
	FlowTableCounters table;
	uint64_t written_packets, written_rows; // to slabs, handed over or not
	ApplicationCounters applications;
	uint64_t missing_records; // gaps in the numbers of the records that came through the rings
	uint64_t scanned_cache, scanned_rings, scanned_table;
	bool quiet; // no packet and no record moved while scanning: scanned and derived terms must agree
};

// bpf_ktime_get_ns() is CLOCK_MONOTONIC. The offset is read anew each time, so steps of the wall clock move
// the times of later records only.
ClockBase KernelClock();

class Capture
{
      public:
	// With a `state`, what is not delivered yet outlives the process.
	Capture(Loader &loader, const CaptureOptions &options, std::vector<SlabMemory> slabs,
		uint32_t slab_rows, SlabWriter::HandOver hand_over, std::function<void()> flushed,
		StateFile *state = nullptr);
	~Capture();

	// Arms the sweep timers and starts reading.
	BpfError Start();

	// Before Start(): heads go to `applications`, and what they know into the records.
	void Use(std::unique_ptr<Applications> applications);

	// `flushed` is called once everything that was resident at this call has been handed over.
	void Flush();

	void Stop();

	// The consumer gave a slab back. From any thread.
	void Release(uint32_t slab) { writer_.Release(slab); }

	// What earlier processes took out of the rings, less what was taken over from them; all of it that
	// was not delivered died with them. After Start().
	uint64_t inherited_packets() const { return inherited_packets_; }
	uint64_t inherited_octets() const { return inherited_octets_; }
	// Packets that datapaths of other layouts still held. After Start().
	uint64_t drained_packets() const { return drained_packets_; }

	// Visits every flow that had a packet before this call: in the caches, the rings and the table, in
	// the order in which packets move, so that none slips through.
	void VisitFlows(const std::function<void(const tg_flow_key &)> &visit);

	// `scan` counts what is resident instead of trusting the counters; it holds the reader up for its
	// duration.
	CaptureCounters Counters(bool scan);

	// How full the fullest ring is, 0..1. After Start(); any thread.
	double RingFill() const;

      private:
	void Run();
	void DrainPredecessors();
	void Drain(Predecessor &predecessor);
	struct DrainedBatch {
		std::vector<tg_delta> records;
		std::vector<uint64_t> ends; // the ring's position after each
	};
	void MergeDrained(Predecessor &predecessor, uint32_t cpu, DrainedBatch &batch);
	void ReadHeads();
	bool ReadRing(uint32_t cpu);
	bool ReadRings();
	void FlushCaches();
	void Wait(int milliseconds);

	Loader &loader_;
	std::chrono::milliseconds batch_age_;
	std::function<void()> flushed_;
	SlabWriter writer_;
	FlowTable table_;
	std::unique_ptr<Applications> applications_;
	HeadReader heads_;
	HeadSink head_sink_;
	std::vector<std::unique_ptr<RingReader>> rings_;
	StateFile *state_;
	std::thread thread_;
	// Guards table_, writer_ and rings_ between the reader, Counters() and changes of steering.
	InheritingMutex mutex_;
	std::atomic<uint32_t> waiting_{0}, flushes_{0};
	std::atomic<bool> stop_{false};
	uint64_t inherited_packets_ = 0, inherited_octets_ = 0;
	uint64_t drained_packets_ = 0, drained_octets_ = 0;
	int epoll_ = -1, wake_ = -1;
};

} // namespace tidegate

#endif
