// What the reader thread does to each delta record, without a kernel in front of it: records in the layout of
// a BPF ring, in a memfd, through RingReader and FlowTable into slabs that come back at once.
#include <random>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "addon.h"
#include "clocks.h"
#include "options.h"
#include "ring_reader.h"

namespace tidegate
{

namespace
{
// Half of the ring that a CPU has by default: what a reader finds that comes round every few ms.
constexpr uint32_t kRingRecords = 1 << 14, kBatch = 512;
constexpr size_t kSpan = sizeof(tg_delta) + 8;
constexpr uint64_t kRecordNs = 500; // virtual time between two records: 2 M records a second arrive
constexpr uint64_t kStartNs = 1ull << 40;

double ThreadCpuNs()
{
	return static_cast<double>(ClockNs(CLOCK_THREAD_CPUTIME_ID));
}

// Without what is shared with files: the ring, and a state.
uint64_t PrivateBytes()
{
	unsigned long size = 0, resident = 0, shared = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file) {
		if (fscanf(file, "%lu %lu %lu", &size, &resident, &shared) != 3)
			resident = shared = 0;
		fclose(file);
	}
	return (resident - shared) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// A ring of the kernel's layout (consumer page, producer page, data) that this process fills itself.
class OwnRing
{
      public:
	OwnRing() : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))), fd_(memfd_create("tidegate-bench", 0))
	{
		while (bytes_ < kRingRecords * kSpan)
			bytes_ *= 2;
		length_ = 2 * page_ + bytes_;
		if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(length_)))
			std::abort();
		base_ = static_cast<uint8_t *>(
		    mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
		if (base_ == MAP_FAILED)
			std::abort();
	}
	~OwnRing()
	{
		munmap(base_, length_);
		close(fd_);
	}
	int fd() const { return fd_; }
	uint32_t bytes() const { return bytes_; }

	// Record `number` of this turn.
	void Put(uint32_t number, const tg_delta &record)
	{
		uint8_t *at = Data() + number * kSpan;

		*reinterpret_cast<uint64_t *>(at) = sizeof(tg_delta);
		std::memcpy(at + 8, &record, sizeof(record));
		Produce(turn_ + (number + 1) * kSpan);
	}
	// A discarded record takes what is left of the data: the next one is the first of the next turn.
	void Turn()
	{
		uint64_t used = kRingRecords * kSpan;

		*reinterpret_cast<uint64_t *>(Data() + used) =
		    (bytes_ - used - BPF_RINGBUF_HDR_SZ) | BPF_RINGBUF_DISCARD_BIT;
		turn_ += bytes_;
		Produce(turn_);
	}

      private:
	uint8_t *Data() const { return base_ + 2 * page_; }
	void Produce(uint64_t position) { *reinterpret_cast<uint64_t *>(base_ + page_) = position; }

	size_t page_, length_ = 0;
	uint64_t turn_ = 0; // position where this turn through the data began
	uint32_t bytes_ = 4096;
	int fd_;
	uint8_t *base_;
};

tg_delta RecordOf(uint64_t flow, uint64_t time_ns, uint32_t number)
{
	tg_delta record{};
	uint64_t mixed = flow * 0x9e3779b97f4a7c15;

	record.tag = number;
	record.key.lower_address[10] = record.key.lower_address[11] = 0xff;
	record.key.upper_address[10] = record.key.upper_address[11] = 0xff;
	record.key.lower_address[12] = 10;
	std::memcpy(record.key.lower_address + 13, &mixed, 3);
	std::memcpy(record.key.upper_address + 12, &flow, 4);
	record.key.upper_port = 443;
	record.key.lower_port = static_cast<uint16_t>(mixed >> 48);
	record.key.kind = TG_KIND_IPV4;
	record.key.protocol = 6;
	for (int d = 0; d < 2; d++) {
		record.packets[d] = 3;
		record.octets[d] = 1800;
		record.size_bins[d][7] = 3;
		record.iat_bins[d][9] = 2;
		record.flag_counts[d][4] = 3; // ACK
		record.first_tick[d] = record.last_tick[d] = static_cast<uint32_t>(time_ns >> TG_TICK_SHIFT);
		record.ttl_min[d] = record.ttl_max[d] = 64;
		record.window_min[d] = record.window_max[d] = 500;
	}
	record.seen = 3;
	return record;
}
} // namespace

// benchRing(options, {rounds, live, turnover, stateFile}) -> {records, measured, cpuNs, created, emitted,
// liveFlows, tableBytes, privateBytes}; measured, cpuNs and created are of the second half of the rounds,
// when the table has grown to its size. Every record belongs to one of `live` flows; after every 1/turnover
// records the oldest of them is seen no more and a new one is.
Napi::Value BenchRing(const Napi::CallbackInfo &info)
{
	Napi::Object options = info[0].As<Napi::Object>(), load = info[1].As<Napi::Object>();
	SlabSet slabs(options);
	uint32_t rounds = U32Option(load, "rounds"), live = U32Option(load, "live");
	double turnover = NumberOption(load, "turnover");
	std::string path = StringOption(load, "stateFile");
	StateFile state;
	uint64_t before = PrivateBytes();

	if (!path.empty() && state.Open(path, FlowTable::ShapeOf(0, 1, slabs.memory))) {
		Napi::Error::New(info.Env(), "cannot make " + path).ThrowAsJavaScriptException();
		return info.Env().Undefined();
	}
	StateFile *kept = path.empty() ? nullptr : &state;
	SlabWriter *own = nullptr;
	SlabWriter writer(
	    slabs.memory, U32Option(options, "slabRows"),
	    [&](uint32_t slab) {
		    own->Release(slab);
		    std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t *>(slabs.memory[slab].data))
			.store(0);
	    },
	    [] { return false; }, kept);
	FlowTable table(TableOptions(options), writer, kept);
	OwnRing ring;
	RingReader reader;
	std::mt19937_64 random(1);
	double cpu_ns = 0;
	uint64_t records = 0, measured = 0, created = 0;

	own = &writer;
	if (reader.Open(ring.fd(), ring.bytes())) {
		Napi::Error::New(info.Env(), "cannot map a ring").ThrowAsJavaScriptException();
		return info.Env().Undefined();
	}
	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t first = records;

		for (uint32_t i = 0; i < kRingRecords; i++, records++) {
			uint64_t oldest = static_cast<uint64_t>(static_cast<double>(records) * turnover);
			// While the table fills for the first time every flow comes once, in turn.
			uint64_t flow = records < live ? records : oldest + random() % live;

			ring.Put(i, RecordOf(flow, kStartNs + records * kRecordNs, i));
		}
		if (round == rounds / 2)
			created = table.counters().flows_created;
		double start = ThreadCpuNs();

		for (uint64_t done = 0; done < kRingRecords;) {
			DeltaRun run = reader.Take(kBatch);
			ClockBase clock{kStartNs + (first + done) * kRecordNs, 0};
			FlowTable::Origin origin{0, reader.position() - run.count * run.stride, run.stride};

			table.Merge(run, clock, &origin);
			reader.Commit();
			table.Advance(clock);
			done += run.count;
		}
		double end = ThreadCpuNs();

		ring.Turn();
		if (round >= rounds / 2) {
			cpu_ns += end - start;
			measured += kRingRecords;
		}
	}
	FlowTableCounters counters = table.counters();
	Napi::Object result = Napi::Object::New(info.Env());

	result.Set("records", static_cast<double>(records));
	result.Set("measured", static_cast<double>(measured));
	result.Set("cpuNs", cpu_ns);
	result.Set("created", static_cast<double>(counters.flows_created - created));
	result.Set("emitted", static_cast<double>(counters.emitted_records));
	result.Set("liveFlows", static_cast<double>(counters.flows_active));
	result.Set("tableBytes", static_cast<double>(table.MemoryBytes()));
	result.Set("privateBytes", static_cast<double>(PrivateBytes() - before));
	state.Remove();
	return result;
}

void InitRingBench(Napi::Env env, Napi::Object exports)
{
	exports.Set("benchRing", Napi::Function::New(env, BenchRing, "benchRing"));
}

} // namespace tidegate
