#include "capture.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clocks.h"

namespace tidegate
{

namespace
{
constexpr size_t kBatch = 512;
// The kernel wakes the reader only when a ring fills; otherwise it looks this often.
constexpr int kPollMs = 4;
constexpr int kSlabPollMs = 1;
} // namespace

ClockBase KernelClock()
{
	uint64_t monotonic = MonotonicNs();

	return {monotonic, static_cast<int64_t>(ClockNs(CLOCK_REALTIME) - monotonic)};
}

Capture::Capture(Loader &loader, const CaptureOptions &options, std::vector<SlabMemory> slabs,
		 uint32_t slab_rows, SlabWriter::HandOver hand_over, std::function<void()> flushed,
		 StateFile *state)
    : loader_(loader), batch_age_(options.batch_age), flushed_(std::move(flushed)),
      writer_(
	  std::move(slabs), slab_rows, std::move(hand_over), [] { return false; }, state),
      table_(options.table, writer_, state), state_(state)
{
}

Capture::~Capture()
{
	Stop();
}

BpfError Capture::Start()
{
	epoll_ = epoll_create1(EPOLL_CLOEXEC);
	wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll_ < 0 || wake_ < 0)
		return BpfError{errno, "create the reader's descriptors", ""};
	struct epoll_event event = {};

	event.events = EPOLLIN;
	epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
	// Before our own rings are read: a flow's records come in the order in which they were counted.
	DrainPredecessors();
	for (uint32_t cpu = 0; cpu < loader_.cpus(); cpu++) {
		auto ring = std::make_unique<RingReader>();
		int error = ring->Open(loader_.ring_fd(cpu), loader_.ring_bytes(), loader_.reader_state(cpu),
				       state_ && state_->recovered() ? &state_->progress(cpu) : nullptr);

		if (error)
			return BpfError{error, "map a ring buffer", ""};
		inherited_packets_ += ring->committed_packets();
		inherited_octets_ += ring->committed_octets();
		if (state_)
			state_->progress(cpu) = {ring->position(), ring->committed_packets(),
						 ring->committed_octets()};
		rings_.push_back(std::move(ring));
		// Edge-triggered: a ring with something in it is not news, a ring that the kernel woke us for
		// is.
		event.events = EPOLLIN | EPOLLET;
		epoll_ctl(epoll_, EPOLL_CTL_ADD, loader_.ring_fd(cpu), &event);
	}
	inherited_packets_ += loader_.retired().counters.exported_packets - drained_packets_;
	inherited_octets_ += loader_.retired().counters.exported_octets - drained_octets_;
	inherited_packets_ -= table_.inherited_packets();
	inherited_octets_ -= table_.inherited_octets();
	int error = applications_ ? heads_.Open(loader_.map_fd("heads"), loader_.head_ring_bytes()) : 0;

	if (error)
		return BpfError{error, "map the ring of payload heads", ""};
	BpfError failure = loader_.Arm();

	if (!failure)
		thread_ = std::thread([this] { Run(); });
	return failure;
}

void Capture::Flush()
{
	flushes_.fetch_add(1);
	eventfd_write(wake_, 1);
}

void Capture::Stop()
{
	if (thread_.joinable()) {
		stop_.store(true);
		eventfd_write(wake_, 1);
		thread_.join();
	}
	if (epoll_ >= 0)
		close(epoll_);
	if (wake_ >= 0)
		close(wake_);
	epoll_ = wake_ = -1;
}

void Capture::Use(std::unique_ptr<Applications> applications)
{
	applications_ = std::move(applications);
	table_.Use(applications_.get());
	head_sink_ = [this](const tg_head &head, const uint8_t *payload) {
		applications_->Head(head, payload);
	};
}

// All that is there: a head must be known before the record that counts its packet.
void Capture::ReadHeads()
{
	if (applications_)
		heads_.Read(SIZE_MAX, head_sink_);
}

// Merges up to one batch of a ring. True when there may be more.
bool Capture::ReadRing(uint32_t cpu)
{
	RingReader &ring = *rings_[cpu];
	DeltaRun run = ring.Take(kBatch);
	FlowTable::Origin origin{cpu, ring.position() - run.count * run.stride, run.stride};

	ReadHeads();
	if (run.count != 0)
		table_.Merge(run, KernelClock(), &origin);
	ring.Commit();
	return run.count == kBatch;
}

bool Capture::ReadRings()
{
	bool more = false;

	for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
		// A mutex is not fair: whoever waits for it gets it between two batches.
		while (waiting_.load(std::memory_order_relaxed) != 0)
			std::this_thread::yield();
		std::lock_guard lock(mutex_);
		more |= ReadRing(cpu);
	}
	return more;
}

// Slice by slice with the rings emptied in between, so that flushing does not overflow them.
void Capture::FlushCaches()
{
	for (uint32_t first = 0; first < loader_.cache_entries(); first += loader_.flush_slice()) {
		loader_.FlushSlots(first, std::min(loader_.flush_slice(), loader_.cache_entries() - first));
		while (ReadRings())
			;
	}
}

void Capture::Run()
{
	auto handed_over = std::chrono::steady_clock::now();
	uint32_t flushing = 0; // calls of Flush() that are being answered

	while (!stop_.load()) {
		bool more = ReadRings();

		if (flushing == 0 && (flushing = flushes_.exchange(0)) != 0)
			FlushCaches();
		std::unique_lock lock(mutex_);
		ClockBase clock = KernelClock();

		if (flushing != 0 && table_.FlushAll(clock)) {
			writer_.Flush();
			for (; flushing != 0; flushing--)
				flushed_();
		}
		table_.Advance(clock);
		auto now = std::chrono::steady_clock::now();

		if (writer_.pending_rows() == 0) {
			handed_over = now;
		} else if (now - handed_over >= batch_age_) {
			writer_.Flush();
			handed_over = now;
		}
		lock.unlock();
		if (!more)
			Wait(flushing != 0 ? kSlabPollMs : kPollMs);
	}
}

void Capture::Wait(int milliseconds)
{
	struct epoll_event events[8];
	eventfd_t ignored;

	if (epoll_wait(epoll_, events, 8, milliseconds) > 0)
		eventfd_read(wake_, &ignored);
}

void Capture::VisitFlows(const std::function<void(const tg_flow_key &)> &visit)
{
	waiting_.fetch_add(1);
	std::lock_guard lock(mutex_);
	waiting_.fetch_sub(1);
	loader_.VisitCaches(visit);
	for (uint32_t cpu = 0; cpu < rings_.size(); cpu++) {
		while (ReadRing(cpu))
			;
	}
	table_.VisitFlows(visit);
}

double Capture::RingFill() const
{
	double fill = 0;

	for (const auto &ring : rings_)
		fill = std::max(fill, ring->Fill());
	return fill;
}

CaptureCounters Capture::Counters(bool scan)
{
	CaptureCounters result{};

	waiting_.fetch_add(1);
	std::lock_guard lock(mutex_);
	waiting_.fetch_sub(1);
	// From the end of the way to its beginning, so that every difference of two terms is non-negative.
	result.table = table_.counters();
	result.written_packets = writer_.packets();
	result.written_rows = writer_.rows();
	if (applications_)
		result.applications = applications_->counters();
	for (const auto &ring : rings_)
		result.missing_records += ring->missing_records();
	result.kernel = loader_.Counters();
	if (!scan)
		return result;
	result.scanned_table = table_.ResidentPackets();
	for (const auto &ring : rings_)
		result.scanned_rings += ring->ResidentPackets();
	result.scanned_cache = loader_.CacheResidentPackets();
	tg_counters after = loader_.Counters();

	result.quiet = after.rx_packets == result.kernel.rx_packets &&
		       after.exported_records == result.kernel.exported_records;
	return result;
}

} // namespace tidegate
