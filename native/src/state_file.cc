#include "state_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slabs.h"

namespace tidegate
{

namespace
{
constexpr uint64_t kMagic = 0x3374617467646974;	       // "tidgtat3"
constexpr uint64_t kEarlierMagic = 0x3274617467646974; // "tidgtat2": no drained slots
constexpr uint64_t kPage = 4096;

uint64_t PageRound(uint64_t bytes)
{
	return (bytes + kPage - 1) / kPage * kPage;
}

// For as many CPUs as have both of their slots in the pages that one of them takes, the drained slots lie in
// what was padding before, and zero: then the earlier format is this one.
uint64_t MagicFor(uint32_t cpus)
{
	return PageRound(cpus * sizeof(RingProgress)) == PageRound(2 * cpus * sizeof(RingProgress))
		   ? kEarlierMagic
		   : kMagic;
}
} // namespace

StateFile::~StateFile()
{
	for (void *chunk : chunks_)
		munmap(chunk, chunk_bytes_);
	if (header_)
		munmap(header_, fixed_bytes_);
	if (fd_ >= 0)
		close(fd_);
}

int StateFile::Open(const std::string &path, const StateShape &shape,
		    const std::vector<uint32_t> &predecessors)
{
	shape_ = shape;
	path_ = path;
	slab_stride_ = PageRound(shape.slab_bytes);
	fixed_bytes_ = PageRound(sizeof(Header)) + PageRound(2 * shape.cpus * sizeof(RingProgress)) +
		       shape.slabs * slab_stride_;
	chunk_bytes_ = PageRound(static_cast<uint64_t>(shape.entry_bytes) * shape.chunk_entries);
	if (shape.entry_bytes > kImageBytes)
		return EINVAL;
	fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd_ >= 0 && Adopt(predecessors)) {
		recovered_ = true;
		return 0;
	}
	if (fd_ >= 0)
		close(fd_);
	if (fd_ < 0 && errno != ENOENT)
		return errno;
	return Create(path);
}

int StateFile::Create(const std::string &path)
{
	unlink(path.c_str());
	fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd_ < 0)
		return errno;
	// Allocated, not only sized: a tmpfs that is full says so here and not by SIGBUS.
	int error = posix_fallocate(fd_, 0, static_cast<off_t>(fixed_bytes_));

	if (!error)
		error = Map(fixed_bytes_);
	if (error) {
		unlink(path.c_str());
		return error;
	}
	if (getrandom(&header_->name, sizeof(header_->name), 0) != sizeof(header_->name))
		return errno;
	header_->shape = shape_;
	header_->magic = MagicFor(shape_.cpus);
	return 0;
}

int StateFile::Map(uint64_t bytes)
{
	void *memory = mmap(nullptr, fixed_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);

	if (memory == MAP_FAILED)
		return errno;
	bytes_ = bytes;
	header_ = static_cast<Header *>(memory);
	uint8_t *after = static_cast<uint8_t *>(memory) + PageRound(sizeof(Header));

	progress_ = reinterpret_cast<RingProgress *>(after);
	slabs_ = after + PageRound(2 * shape_.cpus * sizeof(RingProgress));
	return 0;
}

// False when the file is not one of our shape.
bool StateFile::Adopt(const std::vector<uint32_t> &predecessors)
{
	struct stat status;

	if (fstat(fd_, &status) || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    static_cast<uint64_t>(status.st_size) < fixed_bytes_ ||
	    Map(static_cast<uint64_t>(status.st_size)))
		return false;
	StateShape expected = shape_;

	if (std::find(predecessors.begin(), predecessors.end(), header_->shape.datapath) !=
	    predecessors.end())
		expected.datapath = header_->shape.datapath;
	if (header_->magic != MagicFor(shape_.cpus) || !(header_->shape == expected)) {
		munmap(header_, fixed_bytes_);
		header_ = nullptr;
		return false;
	}
	// A chunk that was cut off while the file grew was never used.
	for (uint64_t at = fixed_bytes_; at + chunk_bytes_ <= bytes_; at += chunk_bytes_) {
		void *chunk = MapChunk(at);

		if (!chunk)
			return false;
		chunks_.push_back(chunk);
	}
	bytes_ = fixed_bytes_ + chunks_.size() * chunk_bytes_;
	UndoChange();
	return true;
}

void StateFile::Rebind()
{
	std::fill_n(progress_, 2 * shape_.cpus, RingProgress{});
	std::atomic_signal_fence(std::memory_order_seq_cst);
	header_->shape.datapath = shape_.datapath;
}

void StateFile::UndoChange()
{
	const Undo &undo = header_->undo;

	if (!header_->changing)
		return;
	if (undo.entry != kNone) {
		uint8_t *chunk = static_cast<uint8_t *>(chunks_[undo.entry / shape_.chunk_entries]);

		std::memcpy(chunk +
				static_cast<size_t>(undo.entry % shape_.chunk_entries) * shape_.entry_bytes,
			    header_->image, undo.bytes);
	}
	progress_[undo.cpu] = undo.progress;
	for (uint32_t number = 0; number < shape_.slabs; number++) {
		if (number == undo.mark.slab)
			RestoreSlab(slab(number), undo.mark.rows, undo.mark.packets, undo.mark.octets);
		else
			FreeUnfilledSlab(slab(number));
	}
	Set(0);
}

void *StateFile::MapChunk(uint64_t offset)
{
	void *memory =
	    mmap(nullptr, chunk_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(offset));

	return memory == MAP_FAILED ? nullptr : memory;
}

void *StateFile::AddChunk()
{
	if (posix_fallocate(fd_, static_cast<off_t>(bytes_), static_cast<off_t>(chunk_bytes_)))
		return nullptr;
	void *chunk = MapChunk(bytes_);

	if (!chunk)
		return nullptr;
	bytes_ += chunk_bytes_;
	chunks_.push_back(chunk);
	return chunk;
}

void StateFile::Remove()
{
	if (!path_.empty())
		unlink(path_.c_str());
	path_.clear();
}

} // namespace tidegate
