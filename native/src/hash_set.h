// A set of 64-bit hashes for many look-ups in a hurry: one array, linear probing, no allocation for each
// element.
#ifndef TIDEGATE_HASH_SET_H
#define TIDEGATE_HASH_SET_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate
{

class HashSet
{
      public:
	size_t size() const { return size_; }

	void Clear()
	{
		slots_.assign(kFirst, 0);
		size_ = 0;
	}

	// True if it was not there before.
	bool Insert(uint64_t hash)
	{
		if (size_ * 2 >= slots_.size())
			Grow();
		uint64_t &slot = slots_[Find(hash)];

		if (slot == Stored(hash))
			return false;
		slot = Stored(hash);
		size_++;
		return true;
	}

	bool Contains(uint64_t hash) const { return slots_[Find(hash)] == Stored(hash); }

      private:
	static constexpr size_t kFirst = 1024;

	// 0 is a free slot; the hash 0 shares a slot with 1, which no use of this set minds.
	static uint64_t Stored(uint64_t hash) { return hash ? hash : 1; }

	// Where it is, or belongs.
	size_t Find(uint64_t hash) const
	{
		size_t mask = slots_.size() - 1, at = Stored(hash) & mask;

		while (slots_[at] != 0 && slots_[at] != Stored(hash))
			at = (at + 1) & mask;
		return at;
	}

	void Grow()
	{
		std::vector<uint64_t> old(slots_.size() * 2);

		old.swap(slots_);
		for (uint64_t stored : old) {
			if (stored != 0)
				slots_[Find(stored)] = stored;
		}
	}

	std::vector<uint64_t> slots_ = std::vector<uint64_t>(kFirst);
	size_t size_ = 0;
};

} // namespace tidegate

#endif
