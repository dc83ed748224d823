// What user space holds of the packets, in memory that outlives the process: the flow table's entries, the
// batches that their consumer has not given back, and how far each ring was merged. A file in a tmpfs, so
// that it lives as long as the rings do. Every change (one record merged, one flow ended) is undone by the
// next process when kill -9 cut it off, and the record is then still in its ring: nothing is lost, nothing
// counted twice.
#ifndef TIDEGATE_STATE_FILE_H
#define TIDEGATE_STATE_FILE_H

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tidegate
{

// How far a ring was merged, and what had come out of it by then.
struct RingProgress {
	uint64_t end; // position in the ring
	uint64_t packets, octets;
};

// Where the batch under construction stands.
struct SlabMark {
	static constexpr uint32_t kNone = 0xffffffff;

	uint32_t slab = kNone;
	uint32_t rows = 0;
	uint64_t packets = 0, octets = 0;
};

// What must be equal for the file of an earlier process to be read.
struct StateShape {
	uint32_t datapath; // BPF map id: another datapath's flows are not ours
	uint32_t cpus, slabs, entry_bytes, chunk_entries;
	uint64_t slab_bytes;
	uint64_t columns; // a hash of the column table

	bool operator==(const StateShape &) const = default;
};

class StateFile
{
      public:
	static constexpr uint32_t kNone = 0xffffffff;
	static constexpr size_t kImageBytes = 1024;

	StateFile() = default;
	~StateFile();
	StateFile(const StateFile &) = delete;
	StateFile &operator=(const StateFile &) = delete;

	// Maps the file of an earlier process if its shape is ours, else a new one in its place. Returns 0 or
	// an errno. A change that was cut off has been undone.
	// The file of another datapath is taken, too, when that one's number is in `predecessors`: progress()
	// is then about that one's rings until Rebind().
	int Open(const std::string &path, const StateShape &shape,
		 const std::vector<uint32_t> &predecessors = {});
	// 0, or whose rings progress() is about.
	uint32_t predecessor() const
	{
		return header_ && header_->shape.datapath != shape_.datapath ? header_->shape.datapath : 0;
	}
	// The predecessor's rings were given back as far as progress() says: from now on it is about ours.
	void Rebind();

	// Nothing outlives this process then.
	void Remove();

	bool opened() const { return header_ != nullptr; }
	// There was a file of our shape: entries and slabs are to be taken over.
	bool recovered() const { return recovered_; }
	// Random, made with the file: no other file's batches have this name.
	uint64_t name() const { return header_->name; }
	uint32_t *sequence() const { return &header_->sequence; }
	RingProgress &progress(uint32_t cpu) const { return progress_[cpu]; }
	// How far a predecessor was drained, CPU by CPU (Predecessor::Part::position).
	uint32_t drained_slot(uint32_t cpu) const { return shape_.cpus + cpu; }
	uint8_t *slab(uint32_t number) const { return slabs_ + number * slab_stride_; }

	size_t chunk_count() const { return chunks_.size(); }
	void *chunk(size_t number) const { return chunks_[number]; }
	// Zeroed memory for one more chunk; null when the file system has no more.
	void *AddChunk();

	// Everything until Commit() is one change: of the first `bytes` of one entry (kNone for none), of the
	// batch under construction, and of one ring's progress.
	void Begin(uint32_t index, const void *entry, size_t bytes, const SlabMark &mark, uint32_t cpu)
	{
		Undo &undo = header_->undo;

		undo.entry = index;
		undo.cpu = cpu;
		undo.bytes = bytes;
		undo.mark = mark;
		undo.progress = progress_[cpu];
		if (index != kNone)
			std::memcpy(header_->image, entry, bytes);
		Set(1);
	}
	void Commit() { Set(0); }

      private:
	struct Undo {
		uint32_t entry, cpu;
		uint64_t bytes; // of the entry
		SlabMark mark;
		RingProgress progress;
	};
	struct alignas(64) Header {
		uint64_t magic;
		StateShape shape;
		uint64_t name;
		uint32_t sequence; // of the next batch
		uint32_t changing;
		Undo undo;
		alignas(64) uint8_t image[kImageBytes];
	};

	// A process dies between two instructions: the order of instructions is all that counts.
	void Set(uint32_t changing)
	{
		std::atomic_signal_fence(std::memory_order_seq_cst);
		std::atomic_ref<uint32_t>(header_->changing).store(changing, std::memory_order_release);
		std::atomic_signal_fence(std::memory_order_seq_cst);
	}
	int Create(const std::string &path);
	int Map(uint64_t bytes);
	bool Adopt(const std::vector<uint32_t> &predecessors);
	void UndoChange();
	void *MapChunk(uint64_t offset);

	StateShape shape_{};
	std::string path_;
	int fd_ = -1;
	bool recovered_ = false;
	uint64_t bytes_ = 0; // of the file
	uint64_t fixed_bytes_ = 0, chunk_bytes_ = 0, slab_stride_ = 0;
	Header *header_ = nullptr;
	RingProgress *progress_ = nullptr;
	uint8_t *slabs_ = nullptr;
	std::vector<void *> chunks_;
};

} // namespace tidegate

#endif
