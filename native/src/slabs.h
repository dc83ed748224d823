// Column batches: flow records written column by column into buffers that JavaScript reads without a copy.
#ifndef TIDEGATE_SLABS_H
#define TIDEGATE_SLABS_H

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "flow_columns.generated.h"
#include "state_file.h"

namespace tidegate
{

constexpr size_t kColumnCount = static_cast<size_t>(Column::Count);

// Memory of one SharedArrayBuffer, owned by JavaScript for as long as the writer lives.
struct SlabMemory {
	uint8_t *data;
	size_t bytes;
};

// Where each column begins in a slab of `capacity` rows; the same rule as slabLayout() in
// src/flow/columns.ts.
class SlabLayout
{
      public:
	explicit SlabLayout(uint32_t capacity);
	uint32_t capacity() const { return capacity_; }
	size_t bytes() const { return bytes_; }
	size_t offset(Column column) const { return offsets_[static_cast<size_t>(column)]; }
	// Where each row's text lies in the text area, plus one; 0 = none.
	size_t text_offsets() const { return text_offsets_; }
	size_t text() const { return text_; }
	size_t text_bytes() const { return bytes_ - text_; }

      private:
	uint32_t capacity_;
	size_t bytes_, text_offsets_, text_;
	std::array<size_t, kColumnCount> offsets_;
};

// A hash of the column table: equal tables lay a slab out equally.
uint64_t ColumnsHash();

// Puts a slab that was being filled back to an earlier row.
void RestoreSlab(uint8_t *slab, uint32_t rows, uint64_t packets, uint64_t octets);
// Frees a slab that was begun and not handed over.
void FreeUnfilledSlab(uint8_t *slab);

// Fills one slab after another. A slab is handed over by number when it is full or when Flush() is called,
// and comes back when its state word is 0. One thread writes.
class SlabWriter
{
      public:
	using HandOver = std::function<void(uint32_t slab)>;
	// Called when no slab is free: true = look again, false = go on without.
	using Wait = std::function<bool()>;

	// With a `state`, rows are written there first and copied when they are handed over, so that they
	// outlive the process until Release().
	SlabWriter(
	    std::vector<SlabMemory> slabs, uint32_t capacity, HandOver hand_over,
	    Wait wait = [] { return false; }, StateFile *state = nullptr);

	// Hands over again what an earlier process had not seen given back, and goes on with what it had
	// begun. Adds the packets and octets in both.
	void Recover(uint64_t *packets, uint64_t *octets);

	// The consumer gave a slab back: nothing need outlive the process any more.
	void Release(uint32_t slab);

	SlabMark mark() const
	{
		return base_ ? SlabMark{current_, row_, slab_packets_, slab_octets_} : SlabMark{};
	}

	// Makes room for one row. False when every slab is with JavaScript and Wait does not wait: try again
	// later, nothing is lost. A slab that is full is handed over here and not by EndRow(): what is being
	// changed while a row is written ends before anybody sees the row. `text_bytes` is what SetText()
	// will need.
	bool BeginRow(size_t text_bytes = 0);
	template <typename T> void Set(Column column, T value)
	{
		reinterpret_cast<T *>(base_ + layout_.offset(column))[row_] = value;
	}
	// Where this row's `width` values of a column go.
	template <typename T> T *At(Column column, size_t width)
	{
		return reinterpret_cast<T *>(base_ + layout_.offset(column)) + row_ * width;
	}
	void SetBytes(Column column, const void *value, size_t bytes)
	{
		std::memcpy(base_ + layout_.offset(column) + static_cast<size_t>(row_) * bytes, value, bytes);
	}
	// The row's text (application_text.h), or null. Its length lies in front of it, two octets.
	void SetText(const std::string *text);
	void EndRow(uint64_t packets, uint64_t octets);

	// Hands over what is there, if anything.
	void Flush();

	uint32_t pending_rows() const { return base_ ? row_ : 0; }
	uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }
	uint64_t packets() const { return packets_.load(std::memory_order_relaxed); }

      private:
	bool TakeSlab();
	void CopyOut(uint32_t slab);

	std::vector<SlabMemory> slabs_;
	StateFile *state_;
	SlabLayout layout_;
	HandOver hand_over_;
	Wait wait_;
	uint8_t *base_ = nullptr;
	uint32_t current_ = 0, row_ = 0, next_ = 0, sequence_ = 0;
	uint32_t text_used_ = 0; // octets of the text area
	uint64_t slab_packets_ = 0, slab_octets_ = 0;
	std::atomic<uint64_t> rows_{0}, packets_{0};
};

} // namespace tidegate

#endif
