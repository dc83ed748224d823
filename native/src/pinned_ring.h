// A BPF ring buffer that nobody writes any more, read record by record without knowing what they are.
#ifndef TIDEGATE_PINNED_RING_H
#define TIDEGATE_PINNED_RING_H

#include <cstddef>
#include <cstdint>
#include <functional>

#include "ring_map.h"

namespace tidegate
{

class PinnedRing
{
      public:
	// Maps the ring behind `fd` (not owned). Returns 0 or an errno.
	int Open(int fd);

	// Visits what is there: a record, its length, and the ring's position after it.
	void
	Visit(const std::function<void(const uint8_t *record, uint32_t bytes, uint64_t end)> &visit) const;

	// Gives the space up to a position back, never what was given back before.
	void Consume(uint64_t end);
	void ConsumeAll() { Consume(ring_.produced()); }

      private:
	RingMap ring_;
};

} // namespace tidegate

#endif
