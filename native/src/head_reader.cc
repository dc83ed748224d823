#include "head_reader.h"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tidegate
{

HeadReader::~HeadReader()
{
	if (consumer_)
		munmap(consumer_, page_);
	if (producer_)
		munmap(const_cast<uint64_t *>(producer_), page_ + 2 * bytes_);
}

int HeadReader::Open(int fd, uint32_t bytes)
{
	page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
	bytes_ = bytes;
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

size_t HeadReader::Read(size_t room, const HeadSink &sink)
{
	uint64_t at = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
	uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);
	size_t count = 0;

	while (at < end && count < room) {
		const uint8_t *record = data_ + (at & (bytes_ - 1));
		uint32_t header =
		    __atomic_load_n(reinterpret_cast<const uint32_t *>(record), __ATOMIC_ACQUIRE);
		uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(header & BPF_RINGBUF_DISCARD_BIT) && length >= sizeof(tg_head)) {
			tg_head head;

			std::memcpy(&head, record + BPF_RINGBUF_HDR_SZ, sizeof(head));
			sink(head, record + BPF_RINGBUF_HDR_SZ + sizeof(head));
			count++;
		}
		at += (static_cast<uint64_t>(length) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	}
	__atomic_store_n(consumer_, at, __ATOMIC_RELEASE);
	return count;
}

} // namespace tidegate
