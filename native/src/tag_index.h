// An open-addressed index of 8-octet cells: 32 bits of a hash and the number of what it stands for. Eight
// cells share a cache line, so a look-up touches one line here and then the one entry it names. Linear
// probing, no tombstones.
#ifndef TIDEGATE_TAG_INDEX_H
#define TIDEGATE_TAG_INDEX_H

#include <cstdint>

#include "pages.h"

namespace tidegate
{

class TagIndex
{
      public:
	static constexpr uint32_t kNone = 0xffffffff;

	// `cells` is a power of two; the caller keeps at least half of them empty, see HalfFull().
	explicit TagIndex(size_t cells) : cells_(cells), mask_(cells - 1) {}

	void Prefetch(uint32_t tag) const { __builtin_prefetch(&cells_[tag & mask_]); }

	// The first number under `tag` for which `matches` holds, else kNone.
	template <typename Matches> uint32_t Find(uint32_t tag, Matches matches) const
	{
		for (size_t at = tag & mask_; cells_[at] != 0; at = (at + 1) & mask_) {
			if (static_cast<uint32_t>(cells_[at] >> 32) != tag)
				continue;
			uint32_t number = static_cast<uint32_t>(cells_[at]) - 1;

			if (matches(number))
				return number;
		}
		return kNone;
	}

	void Insert(uint32_t tag, uint32_t number)
	{
		Place(static_cast<uint64_t>(tag) << 32 | (number + 1));
		count_++;
	}

	// `number` must stand under `tag`.
	void Remove(uint32_t tag, uint32_t number)
	{
		size_t at = tag & mask_;

		while (static_cast<uint32_t>(cells_[at]) != number + 1)
			at = (at + 1) & mask_;
		// Backward-shift deletion keeps every probe sequence unbroken (Knuth 6.4, algorithm R).
		for (size_t next = (at + 1) & mask_; cells_[next] != 0; next = (next + 1) & mask_) {
			size_t home = Home(cells_[next]);

			if (((next - home) & mask_) >= ((next - at) & mask_)) {
				cells_[at] = cells_[next];
				at = next;
			}
		}
		cells_[at] = 0;
		count_--;
	}

	bool HalfFull() const { return (count_ + 1) * 2 > mask_ + 1; }

	size_t bytes() const { return (mask_ + 1) * sizeof(uint64_t); }

	// Twice as many cells. A cell's tag is all that is needed to place it again.
	void Grow()
	{
		Pages<uint64_t> old(cells_.size() * 2);

		std::swap(old, cells_);
		mask_ = cells_.size() - 1;
		for (size_t i = 0; i < old.size(); i++) {
			if (old[i] != 0)
				Place(old[i]);
		}
	}

      private:
	size_t Home(uint64_t cell) const { return (cell >> 32) & mask_; }

	void Place(uint64_t cell)
	{
		size_t at = Home(cell);

		while (cells_[at] != 0)
			at = (at + 1) & mask_;
		cells_[at] = cell;
	}

	Pages<uint64_t> cells_;
	size_t mask_, count_ = 0;
};

} // namespace tidegate

#endif
