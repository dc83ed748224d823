// One BPF ring buffer in this process's memory: a page with the consumer's position, which is ours to write,
// one with the producer's, and the data.
#ifndef TIDEGATE_RING_MAP_H
#define TIDEGATE_RING_MAP_H

#include <cstddef>
#include <cstdint>
#include <linux/bpf.h>

namespace tidegate
{

class RingMap
{
      public:
	struct Record {
		const uint8_t *data;
		uint32_t length;
		bool discarded;
		uint64_t end; // where the next one begins
	};

	RingMap() = default;
	~RingMap();
	RingMap(const RingMap &) = delete;
	RingMap &operator=(const RingMap &) = delete;

	// Maps the ring behind `fd` (not owned), whose data area has `bytes` bytes. Returns 0 or an errno.
	int Open(int fd, uint32_t bytes);

	uint64_t bytes() const { return bytes_; }
	uint64_t produced() const { return __atomic_load_n(producer_, __ATOMIC_ACQUIRE); }
	uint64_t consumed() const { return __atomic_load_n(consumer_, __ATOMIC_ACQUIRE); }
	// Gives the space up to `position` back to the kernel.
	void Consume(uint64_t position) { __atomic_store_n(consumer_, position, __ATOMIC_RELEASE); }

	// The record that begins at `position`, before produced(). False when it is still being written; its
	// length and end are known even so.
	bool Read(uint64_t position, Record *record) const
	{
		const uint8_t *header = data_ + (position & (bytes_ - 1));
		uint32_t length =
		    __atomic_load_n(reinterpret_cast<const uint32_t *>(header), __ATOMIC_ACQUIRE);

		record->discarded = (length & BPF_RINGBUF_DISCARD_BIT) != 0;
		record->length =
		    length & ~static_cast<uint32_t>(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		record->data = header + BPF_RINGBUF_HDR_SZ;
		record->end =
		    position + (static_cast<uint64_t>(record->length) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		return !(length & BPF_RINGBUF_BUSY_BIT);
	}

      private:
	uint64_t *consumer_ = nullptr;
	const uint64_t *producer_ = nullptr;
	const uint8_t *data_ = nullptr; // mapped twice in a row, so no record is ever split
	uint64_t bytes_ = 0;
};

} // namespace tidegate

#endif
