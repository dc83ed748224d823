#include "slabs.h"

#include <algorithm>

namespace tidegate
{

namespace
{
constexpr size_t kAlignment = 64;
constexpr size_t kTextLength = 2; // octets in front of each text

size_t Aligned(size_t bytes)
{
	return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
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
		offset += Aligned(bytes);
	}
	text_offsets_ = offset;
	text_ = offset + Aligned(static_cast<size_t>(capacity) * sizeof(uint32_t));
	bytes_ = text_ + Aligned(std::max<size_t>(static_cast<size_t>(capacity) * kTextBytesPerRow,
						  kTextBytesMinimum));
}

namespace
{
void StorePacketCounts(uint32_t *header, uint32_t rows, uint64_t packets, uint64_t octets)
{
	header[kRows] = rows;
	header[kPacketsLow] = static_cast<uint32_t>(packets);
	header[kPacketsHigh] = static_cast<uint32_t>(packets >> 32);
	header[kOctetsLow] = static_cast<uint32_t>(octets);
	header[kOctetsHigh] = static_cast<uint32_t>(octets >> 32);
}
} // namespace

uint64_t ColumnsHash()
{
	uint64_t hash = 0xcbf29ce484222325; // FNV-1a

	for (const auto &column : kColumns) {
		for (const char *c = column.name; *c; c++)
			hash = (hash ^ static_cast<uint8_t>(*c)) * 0x100000001b3;
		hash = (hash ^ column.element_bytes) * 0x100000001b3;
		hash = (hash ^ column.width) * 0x100000001b3;
	}
	hash = (hash ^ kTextBytesPerRow) * 0x100000001b3;
	return hash;
}

void RestoreSlab(uint8_t *slab, uint32_t rows, uint64_t packets, uint64_t octets)
{
	StorePacketCounts(reinterpret_cast<uint32_t *>(slab), rows, packets, octets);
}

void FreeUnfilledSlab(uint8_t *slab)
{
	if (Word(slab, kState).load() == kWriting)
		Word(slab, kState).store(kFree);
}

SlabWriter::SlabWriter(std::vector<SlabMemory> slabs, uint32_t capacity, HandOver hand_over, Wait wait,
		       StateFile *state)
    : slabs_(std::move(slabs)), state_(state), layout_(capacity), hand_over_(std::move(hand_over)),
      wait_(std::move(wait))
{
}

void SlabWriter::Recover(uint64_t *packets, uint64_t *octets)
{
	for (uint32_t number = 0; number < slabs_.size(); number++) {
		uint8_t *slab = state_->slab(number);
		const uint32_t *header = reinterpret_cast<const uint32_t *>(slab);
		uint32_t state = Word(slab, kState).load();
		uint64_t held = static_cast<uint64_t>(header[kPacketsHigh]) << 32 | header[kPacketsLow];
		uint64_t held_octets = static_cast<uint64_t>(header[kOctetsHigh]) << 32 | header[kOctetsLow];

		if (state == kWriting && header[kRows] == 0)
			Word(slab, kState).store(kFree);
		if (state == kFree || header[kRows] == 0)
			continue;
		*packets += held;
		*octets += held_octets;
		packets_ += held;
		rows_ += header[kRows];
		if (state == kFilled) {
			CopyOut(number);
			continue;
		}
		base_ = slab;
		current_ = number;
		row_ = header[kRows];
		text_used_ = header[kTextUsed];
		slab_packets_ = held;
		slab_octets_ = held_octets;
	}
}

void SlabWriter::Release(uint32_t slab)
{
	if (state_)
		Word(state_->slab(slab), kState).store(kFree, std::memory_order_release);
}

// From the state to the consumer's memory, as far as there are rows.
void SlabWriter::CopyOut(uint32_t number)
{
	const uint8_t *from = state_->slab(number);
	uint8_t *to = slabs_[number].data;
	size_t rows = reinterpret_cast<const uint32_t *>(from)[kRows];

	std::memcpy(to + sizeof(uint32_t), from + sizeof(uint32_t), kSlabHeaderBytes - sizeof(uint32_t));
	for (size_t i = 0; i < kColumnCount; i++) {
		size_t offset = layout_.offset(static_cast<Column>(i));

		std::memcpy(to + offset, from + offset, rows * kColumns[i].width * kColumns[i].element_bytes);
	}
	std::memcpy(to + layout_.text_offsets(), from + layout_.text_offsets(), rows * sizeof(uint32_t));
	std::memcpy(to + layout_.text(), from + layout_.text(),
		    reinterpret_cast<const uint32_t *>(from)[kTextUsed]);
	Word(to, kState).store(kFilled, std::memory_order_release);
	hand_over_(number);
}

bool SlabWriter::BeginRow(size_t text_bytes)
{
	if (base_ && (row_ == layout_.capacity() ||
		      (text_bytes != 0 && text_used_ + kTextLength + text_bytes > layout_.text_bytes())))
		Flush();
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
		if (state_) {
			slab = state_->slab(index);
			StorePacketCounts(reinterpret_cast<uint32_t *>(slab), 0, 0, 0);
		}
		Word(slab, kState).store(kWriting, std::memory_order_release);
		base_ = slab;
		current_ = index;
		row_ = text_used_ = 0;
		reinterpret_cast<uint32_t *>(slab)[kTextUsed] = 0;
		slab_packets_ = slab_octets_ = 0;
		return true;
	}
	return false;
}

// Where a crash cuts this off, octets of the text area stay unused.
void SlabWriter::SetText(const std::string *text)
{
	uint32_t &offset = reinterpret_cast<uint32_t *>(base_ + layout_.text_offsets())[row_];

	offset = 0;
	if (!text)
		return;
	uint8_t *to = base_ + layout_.text() + text_used_;
	uint16_t length = static_cast<uint16_t>(text->size());

	std::memcpy(to, &length, kTextLength);
	std::memcpy(to + kTextLength, text->data(), length);
	offset = text_used_ + 1;
	text_used_ += static_cast<uint32_t>(kTextLength + length);
	reinterpret_cast<uint32_t *>(base_)[kTextUsed] = text_used_;
}

void SlabWriter::EndRow(uint64_t packets, uint64_t octets)
{
	slab_packets_ += packets;
	slab_octets_ += octets;
	// One thread writes: no locked instruction is needed.
	rows_.store(rows_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
	packets_.store(packets_.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
	row_++;
	if (state_)
		StorePacketCounts(reinterpret_cast<uint32_t *>(base_), row_, slab_packets_, slab_octets_);
}

void SlabWriter::Flush()
{
	if (!base_ || row_ == 0)
		return;
	uint32_t *header = reinterpret_cast<uint32_t *>(base_);

	uint32_t &sequence = state_ ? *state_->sequence() : sequence_;

	StorePacketCounts(header, row_, slab_packets_, slab_octets_);
	header[kCapacity] = layout_.capacity();
	header[kSequence] = sequence++;
	Word(base_, kState).store(kFilled, std::memory_order_release);
	base_ = nullptr;
	if (state_)
		CopyOut(current_);
	else
		hand_over_(current_);
}

} // namespace tidegate
