#include "ring_map.h"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
size_t PageBytes()
{
	return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}
} // namespace

RingMap::~RingMap()
{
	if (consumer_)
		munmap(consumer_, PageBytes());
	if (producer_)
		munmap(const_cast<uint64_t *>(producer_), PageBytes() + 2 * bytes_);
}

int RingMap::Open(int fd, uint32_t bytes)
{
	const size_t page = PageBytes();
	void *consumer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (consumer == MAP_FAILED)
		return errno;
	consumer_ = static_cast<uint64_t *>(consumer);
	bytes_ = bytes;
	void *producer =
	    mmap(nullptr, page + 2 * bytes_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(page));

	if (producer == MAP_FAILED)
		return errno;
	producer_ = static_cast<const uint64_t *>(producer);
	data_ = static_cast<const uint8_t *>(producer) + page;
	return 0;
}

} // namespace tidegate
