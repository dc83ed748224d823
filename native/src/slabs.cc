#include "slabs.h"

namespace tidegate
{

namespace
{
constexpr size_t kAlignment = 64;
constexpr uint32_t kFree = 0, kFilled = 1, kWriting = 2;

std::atomic_ref<uint32_t> Word(uint8_t *slab, uint32_t index)
{
	return std::atomic_ref<uint32_t>(reinterpret_cast<uint32_t *>(slab)[index]);
}
} // namespace

SlabLayout::SlabLayout(uint32_t capacity) : capacity_(capacity)
{
	size_t offset = kSlabHeaderBytes;

	for (size_t i = 0; i < kColumnCount; i++) {
		size_t bytes = static_cast<size_t>(capacity) * kColumns[i].width * kColumns[i].element_bytes;

		offsets_[i] = offset;
		offset += (bytes + kAlignment - 1) / kAlignment * kAlignment;
	}
	bytes_ = offset;
}

SlabWriter::SlabWriter(std::vector<SlabMemory> slabs, uint32_t capacity, HandOver hand_over, Wait wait)
    : slabs_(std::move(slabs)), layout_(capacity), hand_over_(std::move(hand_over)), wait_(std::move(wait))
{
}

bool SlabWriter::BeginRow()
{
	while (!base_ && !TakeSlab()) {
		if (!wait_())
			return false;
	}
	return true;
}

bool SlabWriter::TakeSlab()
{
	for (size_t tried = 0; tried < slabs_.size(); tried++) {
		uint8_t *slab = slabs_[next_].data;
		uint32_t index = next_;

		next_ = (next_ + 1) % slabs_.size();
		if (Word(slab, kState).load(std::memory_order_acquire) != kFree)
			continue;
		Word(slab, kState).store(kWriting, std::memory_order_relaxed);
		base_ = slab;
		current_ = index;
		row_ = 0;
		slab_packets_ = slab_octets_ = 0;
		return true;
	}
	return false;
}

void SlabWriter::EndRow(uint64_t packets, uint64_t octets)
{
	slab_packets_ += packets;
	slab_octets_ += octets;
	rows_.fetch_add(1, std::memory_order_relaxed);
	packets_.fetch_add(packets, std::memory_order_relaxed);
	if (++row_ == layout_.capacity())
		Flush();
}

void SlabWriter::Flush()
{
	if (!base_ || row_ == 0)
		return;
	uint32_t *header = reinterpret_cast<uint32_t *>(base_);

	header[kRows] = row_;
	header[kCapacity] = layout_.capacity();
	header[kSequence] = sequence_++;
	header[kPacketsLow] = static_cast<uint32_t>(slab_packets_);
	header[kPacketsHigh] = static_cast<uint32_t>(slab_packets_ >> 32);
	header[kOctetsLow] = static_cast<uint32_t>(slab_octets_);
	header[kOctetsHigh] = static_cast<uint32_t>(slab_octets_ >> 32);
	Word(base_, kState).store(kFilled, std::memory_order_release);
	base_ = nullptr;
	hand_over_(current_);
}

} // namespace tidegate
