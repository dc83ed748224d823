// Reads the ring of payload heads (struct tg_head of bpf/flow_abi.h). One thread.
#ifndef TIDEGATE_HEAD_READER_H
#define TIDEGATE_HEAD_READER_H

#include <cstddef>
#include <cstdint>
#include <functional>

#include "ring_map.h"
extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

// One head and the head.octets octets of its payload, which are valid during the call only.
using HeadSink = std::function<void(const tg_head &head, const uint8_t *payload)>;

class HeadReader
{
      public:
	// Maps the ring behind `fd` (not owned), whose data area has `bytes` bytes. Returns 0 or an errno.
	int Open(int fd, uint32_t bytes) { return ring_.Open(fd, bytes); }

	// Hands over what is in the ring, at most `room` heads, and gives their space back. Returns how many.
	size_t Read(size_t room, const HeadSink &sink);

      private:
	RingMap ring_;
};

} // namespace tidegate

#endif
