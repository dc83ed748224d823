// Capture files through the user-space meter, on a thread of its own. No privileges.
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "addon.h"
#include "clocks.h"
#include "options.h"
#include "pcap_reader.h"
#include "user_meter.h"

namespace tidegate
{

namespace
{
constexpr uint32_t kLookEvery = 16; // bursts
constexpr auto kBatchAge =
    std::chrono::milliseconds(100); // a slab that is not full is handed over after this

struct FileResult {
	std::string path, damage;
	uint64_t packets = 0, damage_offset = 0;
	bool damaged = false;
};

double ThreadCpuSeconds()
{
	return static_cast<double>(ClockNs(CLOCK_THREAD_CPUTIME_ID)) / 1e9;
}
} // namespace

class Replay : public Napi::ObjectWrap<Replay>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "Replay",
				   {
				       InstanceMethod<&Replay::Start>("start"),
				       InstanceMethod<&Replay::Stop>("stop"),
				       InstanceMethod<&Replay::Counters>("counters"),
				       InstanceMethod<&Replay::Files>("files"),
				   });
	}

	explicit Replay(const Napi::CallbackInfo &info)
	    : Napi::ObjectWrap<Replay>(info), slabs_(info[0].As<Napi::Object>()),
	      events_(info.Env(), info[1].As<Napi::Function>(), "tidegate replay"),
	      writer_(
		  slabs_.memory, U32Option(info[0].As<Napi::Object>(), "slabRows"),
		  [this](uint32_t slab) { events_.Post(static_cast<int32_t>(slab)); },
		  [this] { return WaitForSlab(); }),
	      table_(TableOptions(info[0].As<Napi::Object>()), writer_),
	      meter_(CacheSettings(info[0].As<Napi::Object>()),
		     U32Option(info[0].As<Napi::Object>(), "idleTicks"), table_)
	{
		applications_ = ApplicationsOption(info[0].As<Napi::Object>());
		if (!applications_)
			return;
		table_.Use(applications_.get());
		meter_.Use(applications_.get(), HeadWantsOption(info[0].As<Napi::Object>()));
	}

	~Replay() override { End(); }

      private:
	// start(paths): reads them one after the other, then posts kEventDone.
	void Start(const Napi::CallbackInfo &info)
	{
		Napi::Array paths = info[0].As<Napi::Array>();

		for (uint32_t i = 0; i < paths.Length(); i++)
			files_.push_back({paths.Get(i).As<Napi::String>().Utf8Value(), "", 0, 0, false});
		thread_ = std::thread([this] { Run(); });
	}

	void Stop(const Napi::CallbackInfo &) { End(); }

	Napi::Value Counters(const Napi::CallbackInfo &info)
	{
		waiting_++;
		std::lock_guard lock(mutex_);
		waiting_--;
		Napi::Object result = CountersObject(info.Env(), meter_.counters());

		SetTableCounters(result, table_.counters());
		SetApplicationCounters(result,
				       applications_ ? applications_->counters() : ApplicationCounters{});
		result.Set("cpuSeconds", cpu_seconds_);
		return result;
	}

	// files() -> [{path, packets, damage, damageOffset}], `damage` empty for a sound file. After
	// kEventDone.
	Napi::Value Files(const Napi::CallbackInfo &info)
	{
		waiting_++;
		std::lock_guard lock(mutex_);
		waiting_--;
		Napi::Array result = Napi::Array::New(info.Env(), files_.size());

		for (uint32_t i = 0; i < files_.size(); i++) {
			Napi::Object file = Napi::Object::New(info.Env());

			file.Set("path", files_[i].path);
			file.Set("packets", static_cast<double>(files_[i].packets));
			file.Set("damage", files_[i].damage);
			file.Set("damageOffset", static_cast<double>(files_[i].damage_offset));
			result.Set(i, file);
		}
		return result;
	}

	// A slow consumer slows the reading and costs no detail. Nobody may wait for the mutex meanwhile: who
	// gives slabs back may be who asks for counters.
	bool WaitForSlab()
	{
		lock_.unlock();
		std::this_thread::sleep_for(std::chrono::microseconds(200));
		lock_.lock();
		return !stop_.load();
	}

	void EndAllFlows()
	{
		meter_.FlushCache();
		table_.FlushAll(meter_.clock());
	}

	// Every few bursts: who asks for counters gets in (a mutex alone is not fair), and a slab that is not
	// full does not wait for ever.
	void LookAround()
	{
		auto now = std::chrono::steady_clock::now();

		if (waiting_.load(std::memory_order_relaxed) != 0) {
			lock_.unlock();
			while (waiting_.load() != 0)
				std::this_thread::yield();
			lock_.lock();
		}
		if (now - handed_over_ >= kBatchAge) {
			handed_over_ = now;
			writer_.Flush();
		}
	}

	// Where time jumps back so far that it is another era, every flow ends first.
	void Meter(const CapturedPacket *packets, size_t count)
	{
		for (size_t done = 0; done < count;) {
			done += meter_.Packets(packets + done, count - done);
			if (done < count) {
				EndAllFlows();
				meter_.Restart();
			}
		}
	}

	void ReadFile(FileResult &result)
	{
		PcapReader reader;
		CapturedPacket packets[UserMeter::kBurst];
		int error = reader.Open(result.path);

		if (error) {
			result.damage = strerror(error);
			return;
		}
		for (uint32_t bursts = 1; !stop_.load(std::memory_order_relaxed); bursts++) {
			size_t count = reader.Burst(packets, UserMeter::kBurst);

			if (count == 0)
				break;
			result.packets += count;
			Meter(packets, count);
			if (bursts % kLookEvery == 0)
				LookAround();
		}
		if (reader.damaged()) {
			result.damage = reader.damage();
			result.damage_offset = reader.damage_offset();
		}
	}

	void Run()
	{
		double before = ThreadCpuSeconds();

		lock_ = std::unique_lock(mutex_);
		for (FileResult &file : files_)
			ReadFile(file);
		EndAllFlows();
		writer_.Flush();
		cpu_seconds_ = ThreadCpuSeconds() - before;
		lock_ = {};
		events_.Post(kEventDone);
	}

	void End()
	{
		stop_.store(true);
		if (thread_.joinable())
			thread_.join();
		if (!released_) {
			events_.Release();
			released_ = true;
		}
	}

	SlabSet slabs_;
	EventSink events_;
	SlabWriter writer_;
	std::unique_ptr<Applications> applications_;
	FlowTable table_;
	UserMeter meter_;
	std::vector<FileResult> files_;
	std::thread thread_;
	std::mutex mutex_;
	std::unique_lock<std::mutex> lock_; // the reading thread's
	std::atomic<bool> stop_{false};
	std::atomic<uint32_t> waiting_{0};
	std::chrono::steady_clock::time_point handed_over_ = std::chrono::steady_clock::now();
	double cpu_seconds_ = 0;
	bool released_ = false;
};

void InitReplay(Napi::Env env, Napi::Object exports)
{
	exports.Set("Replay", Replay::Define(env));
}

} // namespace tidegate
