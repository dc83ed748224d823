// Reads one BPF ring buffer through its own memory mapping. libbpf's reader gives a record's space back
// before the caller has done anything durable with it; here the space is given back by Commit(), after the
// merge, so a crash in between loses nothing and counts nothing twice.
#ifndef TIDEGATE_RING_READER_H
#define TIDEGATE_RING_READER_H

#include <cstddef>
#include <cstdint>

#include "delta_run.h"
#include "ring_map.h"
#include "state_file.h"

namespace tidegate
{

class RingReader
{
      public:
	// Maps the ring behind `fd` (not owned), whose data area has `bytes` bytes. Returns 0 or an errno.
	// `state` outlives the process when its map is pinned: reading goes on where it says.
	// `progress` is how far an earlier process merged, where that is known record by record.
	int Open(int fd, uint32_t bytes, tg_reader_state *state = nullptr,
		 const RingProgress *progress = nullptr);

	// Up to `room` records that were not taken yet, where they lie: valid, and their space occupied,
	// until Commit(). Never empty while there are any.
	DeltaRun Take(size_t room);
	void Commit();

	// How full the ring is, 0..1. Any thread.
	double Fill() const;

	// Packets in records that lie in the ring and were not committed, counted record by record.
	uint64_t ResidentPackets() const;

	// Packets and octets that were ever committed, by earlier processes too. Needs a state.
	uint64_t committed_packets() const { return packets_; }
	uint64_t committed_octets() const { return octets_; }
	// Behind the last record that was taken.
	uint64_t position() const { return taken_; }

	// Records that the kernel numbered but could not store, as seen from the numbers of those that
	// arrived.
	uint64_t missing_records() const { return missing_; }

      private:
	RingMap ring_;
	tg_reader_state *state_ = nullptr;
	uint64_t packets_ = 0, octets_ = 0; // taken so far
	uint64_t taken_ = 0;		    // position up to which records were taken
	uint64_t missing_ = 0;
	uint32_t next_sequence_ = 0;
	bool known_sequence_ = false;
};

} // namespace tidegate

#endif
