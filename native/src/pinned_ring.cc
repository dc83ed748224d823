#include "pinned_ring.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tidegate
{

PinnedRing::~PinnedRing()
{
	if (consumer_)
		munmap(consumer_, page_);
	if (producer_)
		munmap(const_cast<uint64_t *>(producer_), page_ + 2 * bytes_);
}

int PinnedRing::Open(int fd)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return errno;
	page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
	bytes_ = info.max_entries;
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
	return 0;
}

void PinnedRing::Visit(
    const std::function<void(const uint8_t *record, uint32_t bytes, uint64_t end)> &visit) const
{
	uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);

	for (uint64_t at = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE); at < end;) {
		const uint8_t *header = data_ + (at & (bytes_ - 1));
		uint32_t word = __atomic_load_n(reinterpret_cast<const uint32_t *>(header), __ATOMIC_ACQUIRE);
		uint32_t length = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		at += (static_cast<uint64_t>(length) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (!(word & (BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)))
			visit(header + BPF_RINGBUF_HDR_SZ, length, at);
	}
}

void PinnedRing::Consume(uint64_t end)
{
	if (end > __atomic_load_n(consumer_, __ATOMIC_ACQUIRE))
		__atomic_store_n(consumer_, end, __ATOMIC_RELEASE);
}

} // namespace tidegate
