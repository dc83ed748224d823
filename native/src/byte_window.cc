#include "byte_window.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
// Small enough for an L2 cache beside the index of flows, large enough to make the system call cheap.
constexpr size_t kWindow = 256 << 10;
} // namespace

ByteWindow::~ByteWindow()
{
	if (fd_ >= 0)
		close(fd_);
}

int ByteWindow::Open(const std::string &path)
{
	struct stat status;

	fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	if (fd_ < 0)
		return errno;
	if (fstat(fd_, &status))
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
	capacity_ = kWindow;
	buffer_ = std::make_unique_for_overwrite<uint8_t[]>(capacity_);
	return 0;
}

bool ByteWindow::Fill(size_t need)
{
	size_t have = available();

	if (have >= need)
		return true;
	if (need > capacity_) {
		size_t capacity = need + kWindow;
		auto buffer = std::make_unique_for_overwrite<uint8_t[]>(capacity);

		std::memcpy(buffer.get(), data(), have);
		buffer_ = std::move(buffer);
		capacity_ = capacity;
	} else if (begin_ > 0) {
		std::memmove(buffer_.get(), data(), have);
	}
	begin_ = 0;
	end_ = have;
	while (end_ < need) {
		ssize_t got = read(fd_, buffer_.get() + end_, capacity_ - end_);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error_ = errno;
		if (got <= 0)
			return false;
		end_ += static_cast<size_t>(got);
	}
	return true;
}

} // namespace tidegate
