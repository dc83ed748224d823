#include "ring_reader.h"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
constexpr uint64_t kRecordHeader = BPF_RINGBUF_HDR_SZ;

uint64_t RecordSpan(uint32_t length)
{
	return (static_cast<uint64_t>(length) + kRecordHeader + 7) / 8 * 8;
}
} // namespace

RingReader::~RingReader()
{
	if (consumer_)
		munmap(consumer_, page_);
	if (producer_)
		munmap(const_cast<uint64_t *>(producer_), page_ + 2 * bytes_);
}

int RingReader::Open(int fd, uint32_t bytes, tg_reader_state *state, const RingProgress *progress)
{
	page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
	bytes_ = bytes;
	void *consumer = mmap(nullptr, page_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (consumer == MAP_FAILED)
		return errno;
	consumer_ = static_cast<uint64_t *>(consumer);
	void *producer =
	    mmap(nullptr, page_ + 2 * bytes_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(page_));

	if (producer == MAP_FAILED)
		return errno;
	producer_ = static_cast<const uint64_t *>(producer);
	data_ = static_cast<const uint8_t *>(producer) + page_;
	taken_ = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
	state_ = state;
	if (state_) {
		auto &slot = state_->slot[__atomic_load_n(&state_->current, __ATOMIC_ACQUIRE) & 1];

		packets_ = slot.packets;
		octets_ = slot.octets;
		// Died between the two stores of Commit(): finish it.
		if (slot.end > taken_) {
			taken_ = slot.end;
			__atomic_store_n(consumer_, taken_, __ATOMIC_RELEASE);
		}
	}
	// Died in the middle of a batch: its first records are merged already.
	if (progress && progress->end >= taken_ && progress->end != 0) {
		taken_ = progress->end;
		packets_ = progress->packets;
		octets_ = progress->octets;
		Commit();
	}
	return 0;
}

const uint32_t *RingReader::HeaderAt(uint64_t position) const
{
	return reinterpret_cast<const uint32_t *>(data_ + (position & (bytes_ - 1)));
}

size_t RingReader::Take(tg_delta *into, size_t room, uint64_t *ends)
{
	uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);
	size_t count = 0;

	while (taken_ < end && count < room) {
		const uint32_t *header = HeaderAt(taken_);
		uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		uint64_t end_of_record =
		    taken_ + RecordSpan(length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT));

		if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
			std::memcpy(&into[count], reinterpret_cast<const uint8_t *>(header) + kRecordHeader,
				    sizeof(tg_delta));
			uint32_t sequence = into[count].tag;

			if (known_sequence_)
				missing_ += sequence - next_sequence_;
			packets_ += static_cast<uint64_t>(into[count].packets[0]) + into[count].packets[1];
			octets_ += static_cast<uint64_t>(into[count].octets[0]) + into[count].octets[1];
			known_sequence_ = true;
			next_sequence_ = sequence + 1;
			if (ends)
				ends[count] = end_of_record;
			count++;
		}
		taken_ = end_of_record;
	}
	return count;
}

void RingReader::Commit()
{
	if (state_) {
		uint64_t next = state_->current + 1;

		state_->slot[next & 1] = {taken_, packets_, octets_};
		__atomic_store_n(&state_->current, next, __ATOMIC_RELEASE);
	}
	__atomic_store_n(consumer_, taken_, __ATOMIC_RELEASE);
}

double RingReader::Fill() const
{
	uint64_t start = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);

	return static_cast<double>(__atomic_load_n(producer_, __ATOMIC_ACQUIRE) - start) /
	       static_cast<double>(bytes_);
}

uint64_t RingReader::ResidentPackets() const
{
	uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE), packets = 0;

	for (uint64_t at = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE); at < end;) {
		const uint32_t *header = HeaderAt(at);
		uint32_t length = __atomic_load_n(header, __ATOMIC_ACQUIRE);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		const tg_delta *record = reinterpret_cast<const tg_delta *>(
		    reinterpret_cast<const uint8_t *>(header) + kRecordHeader);

		if (!(length & BPF_RINGBUF_DISCARD_BIT))
			packets += static_cast<uint64_t>(record->packets[0]) + record->packets[1];
		at += RecordSpan(length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT));
	}
	return packets;
}

} // namespace tidegate
