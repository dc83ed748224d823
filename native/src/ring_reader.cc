#include "ring_reader.h"

namespace tidegate
{

int RingReader::Open(int fd, uint32_t bytes, tg_reader_state *state, const RingProgress *progress)
{
	int error = ring_.Open(fd, bytes);

	if (error)
		return error;
	taken_ = ring_.consumed();
	state_ = state;
	if (state_) {
		auto &slot = state_->slot[__atomic_load_n(&state_->current, __ATOMIC_ACQUIRE) & 1];

		packets_ = slot.packets;
		octets_ = slot.octets;
		// Died between the two stores of Commit(): finish it.
		if (slot.end > taken_) {
			taken_ = slot.end;
			ring_.Consume(taken_);
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

DeltaRun RingReader::Take(size_t room)
{
	uint64_t end = ring_.produced();
	DeltaRun run{.stride = sizeof(tg_delta) + BPF_RINGBUF_HDR_SZ};
	RingMap::Record record;

	while (taken_ < end && run.count < room && ring_.Read(taken_, &record)) {
		if (record.discarded && run.count != 0)
			break;
		taken_ = record.end;
		if (record.discarded)
			continue;
		const tg_delta &delta = *reinterpret_cast<const tg_delta *>(record.data);

		if (known_sequence_)
			missing_ += delta.tag - next_sequence_;
		known_sequence_ = true;
		next_sequence_ = delta.tag + 1;
		packets_ += static_cast<uint64_t>(delta.packets[0]) + delta.packets[1];
		octets_ += static_cast<uint64_t>(delta.octets[0]) + delta.octets[1];
		if (run.count++ == 0)
			run.first = &delta;
	}
	return run;
}

void RingReader::Commit()
{
	if (state_) {
		uint64_t next = state_->current + 1;

		state_->slot[next & 1] = {taken_, packets_, octets_};
		__atomic_store_n(&state_->current, next, __ATOMIC_RELEASE);
	}
	ring_.Consume(taken_);
}

double RingReader::Fill() const
{
	uint64_t start = ring_.consumed();

	return static_cast<double>(ring_.produced() - start) / static_cast<double>(ring_.bytes());
}

uint64_t RingReader::ResidentPackets() const
{
	uint64_t end = ring_.produced(), packets = 0;
	RingMap::Record record;

	for (uint64_t at = ring_.consumed(); at < end && ring_.Read(at, &record); at = record.end) {
		const tg_delta *delta = reinterpret_cast<const tg_delta *>(record.data);

		if (!record.discarded)
			packets += static_cast<uint64_t>(delta->packets[0]) + delta->packets[1];
	}
	return packets;
}

} // namespace tidegate
