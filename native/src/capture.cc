// The kernel datapath as JavaScript sees it: load, attach, read, flush, count. One reader thread serves all rings.
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <time.h>

#include "addon.h"
#include "loader.h"
#include "options.h"
#include "ring_reader.h"

namespace tidegate
{

namespace
{
constexpr size_t kBatch = 512;
constexpr auto kPollInterval = std::chrono::milliseconds(3);

uint64_t ClockNs(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000ull + static_cast<uint64_t>(now.tv_nsec);
}

ClockBase KernelClock()
{
	uint64_t monotonic = ClockNs(CLOCK_MONOTONIC);

	return {monotonic, static_cast<int64_t>(ClockNs(CLOCK_REALTIME) - monotonic)};
}

void Throw(Napi::Env env, const BpfError &failure)
{
	Napi::Error error = Napi::Error::New(env, failure.operation + ": " + strerror(failure.error));

	error.Set("operation", failure.operation);
	error.Set("errno", failure.error);
	error.Set("log", failure.log);
	error.ThrowAsJavaScriptException();
}
} // namespace

class Capture : public Napi::ObjectWrap<Capture>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "Capture",
				   {
				       InstanceMethod<&Capture::Attach>("attach"),
				       InstanceMethod<&Capture::Start>("start"),
				       InstanceMethod<&Capture::Flush>("flush"),
				       InstanceMethod<&Capture::Detach>("detach"),
				       InstanceMethod<&Capture::Stop>("stop"),
				       InstanceMethod<&Capture::Counters>("counters"),
				       InstanceMethod<&Capture::RunXdp>("runXdp"),
				   });
	}

	explicit Capture(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<Capture>(info), slabs_(info[0].As<Napi::Object>()),
	      events_(info.Env(), info[1].As<Napi::Function>(), "tidegate capture"),
	      writer_(slabs_.memory, U32Option(info[0].As<Napi::Object>(), "slabRows"),
		      [this](uint32_t slab) { events_.Post(static_cast<int32_t>(slab)); }),
	      table_(TableOptions(info[0].As<Napi::Object>()), writer_)
	{
		Napi::Object options = info[0].As<Napi::Object>();
		LoaderOptions loader;

		loader.object_path = StringOption(options, "objectPath");
		loader.settings = CacheSettings(options);
		loader.idle_ticks = U32Option(options, "idleTicks");
		loader.sweep_period_ns = static_cast<uint64_t>(NumberOption(options, "sweepPeriodNs"));
		loader.sweep_slice = U32Option(options, "sweepSlice");
		loader.ring_bytes = U32Option(options, "ringBytes");
		batch_age_ = std::chrono::milliseconds(U32Option(options, "batchMs"));
		BpfError failure = loader_.Load(loader);

		if (failure) {
			events_.Release();
			released_ = true;
			Throw(info.Env(), failure);
			return;
		}
		rings_.reserve(loader_.cpus());
		for (uint32_t cpu = 0; cpu < loader_.cpus(); cpu++) {
			rings_.emplace_back();
			int error = rings_.back().Open(loader_.ring_fd(cpu), loader.ring_bytes);

			if (error) {
				events_.Release();
				released_ = true;
				Throw(info.Env(), BpfError{error, "map a ring buffer", ""});
				return;
			}
		}
	}

	~Capture() override { End(); }

      private:
	// attach(name, netns, native) -> ifindex
	Napi::Value Attach(const Napi::CallbackInfo &info)
	{
		uint32_t ifindex = 0;
		BpfError failure = loader_.Attach(info[0].As<Napi::String>(), info[1].As<Napi::String>(),
						  info[2].As<Napi::Boolean>(), &ifindex);

		if (failure)
			Throw(info.Env(), failure);
		return Napi::Number::New(info.Env(), ifindex);
	}

	void Start(const Napi::CallbackInfo &info)
	{
		BpfError failure = loader_.Arm();

		if (failure)
			return Throw(info.Env(), failure);
		thread_ = std::thread([this] { Run(); });
	}

	// Posts kEventFlushed once everything that was resident has been handed over.
	void Flush(const Napi::CallbackInfo &)
	{
		flush_.store(true);
		wake_.notify_one();
	}

	void Detach(const Napi::CallbackInfo &) { loader_.Detach(); }

	void Stop(const Napi::CallbackInfo &) { End(); }

	// Read from the end of the way to its beginning, so that every difference of two terms is non-negative.
	Napi::Value Counters(const Napi::CallbackInfo &info)
	{
		bool scan = info[0].As<Napi::Boolean>();
		std::unique_lock lock(mutex_);
		FlowTableCounters table = table_.counters();
		uint64_t table_resident = scan ? table_.ResidentPackets() : 0;

		lock.unlock();
		Napi::Object result = CountersObject(info.Env(), loader_.Counters());

		SetTableCounters(result, table);
		if (scan) {
			result.Set("tableResidentScan", static_cast<double>(table_resident));
			result.Set("cacheResidentScan", static_cast<double>(loader_.CacheResidentPackets()));
		}
		return result;
	}

	// runXdp(frame) -> verdict, for tests: the real program over one frame, no NIC.
	Napi::Value RunXdp(const Napi::CallbackInfo &info)
	{
		Napi::Uint8Array frame = info[0].As<Napi::Uint8Array>();
		uint32_t verdict = 0;
		BpfError failure = loader_.RunXdp(frame.Data(), static_cast<uint32_t>(frame.ByteLength()), &verdict);

		if (failure)
			Throw(info.Env(), failure);
		return Napi::Number::New(info.Env(), verdict);
	}

	bool ReadRings(const ClockBase &clock)
	{
		bool more = false;

		for (RingReader &ring : rings_) {
			size_t count = ring.Read(batch_, kBatch);

			if (count == 0)
				continue;
			std::lock_guard lock(mutex_);
			table_.Merge(batch_, count, clock);
			ring.Commit();
			more |= count == kBatch;
		}
		return more;
	}

	void Run()
	{
		auto handed_over = std::chrono::steady_clock::now();

		while (!stop_.load()) {
			ClockBase clock = KernelClock();
			bool flush = flush_.exchange(false);

			if (flush)
				loader_.FlushCaches();
			bool more = ReadRings(clock);

			if (flush) {
				while (ReadRings(KernelClock()))
					;
				flushing_ = true;
			}
			std::unique_lock lock(mutex_);
			if (flushing_ && table_.FlushAll(clock)) {
				flushing_ = false;
				writer_.Flush();
				events_.Post(kEventFlushed);
			}
			table_.Advance(clock);
			auto now = std::chrono::steady_clock::now();

			if (writer_.pending_rows() == 0)
				handed_over = now;
			else if (now - handed_over >= batch_age_)
				writer_.Flush();
			if (!more)
				wake_.wait_for(lock, kPollInterval);
		}
	}

	void End()
	{
		loader_.Detach();
		if (thread_.joinable()) {
			stop_.store(true);
			wake_.notify_one();
			thread_.join();
		}
		if (!released_) {
			events_.Release();
			released_ = true;
		}
	}

	SlabSet slabs_;
	EventSink events_;
	Loader loader_;
	SlabWriter writer_;
	FlowTable table_;
	std::vector<RingReader> rings_;
	std::thread thread_;
	std::mutex mutex_; // guards table_ and writer_ between the reader thread and counters()
	std::condition_variable wake_;
	std::atomic<bool> stop_{false}, flush_{false};
	std::chrono::milliseconds batch_age_{100};
	tg_delta batch_[kBatch];
	bool flushing_ = false, released_ = false;
};

void InitCapture(Napi::Env env, Napi::Object exports)
{
	exports.Set("Capture", Capture::Define(env));
}

} // namespace tidegate
