// Reads one BPF ring buffer through its own memory mapping. libbpf's reader gives a record's space back
// before the caller has done anything durable with it; here the space is given back by Commit(), after the
// merge, so a crash in between loses nothing and counts nothing twice.
#ifndef TIDEGATE_RING_READER_H
#define TIDEGATE_RING_READER_H

#include <cstddef>
#include <cstdint>

extern "C" {
#include "flow_abi.h"
}
#include "state_file.h"

namespace tidegate
{

class RingReader
{
      public:
	RingReader() = default;
	~RingReader();
	RingReader(const RingReader &) = delete;
	RingReader &operator=(const RingReader &) = delete;

	// Maps the ring behind `fd` (not owned), whose data area has `bytes` bytes. Returns 0 or an errno.
	// `state` outlives the process when its map is pinned: reading goes on where it says.
	// `progress` is how far an earlier process merged, where that is known record by record.
	int Open(int fd, uint32_t bytes, tg_reader_state *state = nullptr,
		 const RingProgress *progress = nullptr);

	// Copies up to `room` records that were not taken yet, and the ring's position after each if `ends`
	// is not null. Their space stays occupied until Commit().
	size_t Take(tg_delta *into, size_t room, uint64_t *ends = nullptr);
	void Commit();

	// How full the ring is, 0..1. Any thread.
	double Fill() const;

	// Packets in records that lie in the ring and were not committed, counted record by record.
	uint64_t ResidentPackets() const;

	// Packets and octets that were ever committed, by earlier processes too. Needs a state.
	uint64_t committed_packets() const { return packets_; }
	uint64_t committed_octets() const { return octets_; }
	uint64_t position() const { return taken_; }

	// Records that the kernel numbered but could not store, as seen from the numbers of those that
	// arrived.
	uint64_t missing_records() const { return missing_; }

      private:
	const uint32_t *HeaderAt(uint64_t position) const;

	uint64_t *consumer_ = nullptr;	     // ours to write
	const uint64_t *producer_ = nullptr; // the kernel's
	const uint8_t *data_ = nullptr;	     // mapped twice in a row, so no record is ever split
	size_t bytes_ = 0, page_ = 0;
	tg_reader_state *state_ = nullptr;
	uint64_t packets_ = 0, octets_ = 0; // taken so far
	uint64_t taken_ = 0;		    // position up to which records were taken
	uint64_t missing_ = 0;
	uint32_t next_sequence_ = 0;
	bool known_sequence_ = false;
};

} // namespace tidegate

#endif
