#include "pinned_ring.h"

#include <bpf/bpf.h>
#include <cerrno>

namespace tidegate
{

int PinnedRing::Open(int fd)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? errno : ring_.Open(fd, info.max_entries);
}

void PinnedRing::Visit(
    const std::function<void(const uint8_t *record, uint32_t bytes, uint64_t end)> &visit) const
{
	RingMap::Record record;

	for (uint64_t at = ring_.consumed(), end = ring_.produced(); at < end; at = record.end) {
		if (ring_.Read(at, &record) && !record.discarded)
			visit(record.data, record.length, record.end);
	}
}

void PinnedRing::Consume(uint64_t end)
{
	if (end > ring_.consumed())
		ring_.Consume(end);
}

} // namespace tidegate
