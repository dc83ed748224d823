// Capture files through the user-space meter, on a thread of its own. No privileges.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

#include "addon.h"
#include "options.h"
#include "pcap_reader.h"
#include "user_meter.h"

namespace tidegate
{

namespace
{
constexpr uint32_t kCheckEvery = 256; // packets between looks at the slabs

struct FileResult {
	std::string path, damage;
	uint64_t packets = 0, damage_offset = 0;
	bool damaged = false;
};

double ThreadCpuSeconds()
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
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
	      writer_(slabs_.memory, U32Option(info[0].As<Napi::Object>(), "slabRows"),
		      [this](uint32_t slab) { events_.Post(static_cast<int32_t>(slab)); }),
	      table_(TableOptions(info[0].As<Napi::Object>()), writer_),
	      meter_(CacheSettings(info[0].As<Napi::Object>()),
		     U32Option(info[0].As<Napi::Object>(), "idleTicks"), table_)
	{
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
		std::lock_guard lock(mutex_);
		Napi::Object result = CountersObject(info.Env(), meter_.counters());

		SetTableCounters(result, table_.counters());
		result.Set("cpuSeconds", cpu_seconds_);
		return result;
	}

	// files() -> [{path, packets, damage, damageOffset}], `damage` empty for a sound file. After
	// kEventDone.
	Napi::Value Files(const Napi::CallbackInfo &info)
	{
		std::lock_guard lock(mutex_);
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

	// Waits until a record could be written, so that a slow consumer slows the reading and costs no
	// detail.
	bool WaitForRoom(std::unique_lock<std::mutex> &lock)
	{
		while (!stop_.load()) {
			if (writer_.BeginRow())
				return true;
			lock.unlock();
			std::this_thread::sleep_for(std::chrono::microseconds(200));
			lock.lock();
		}
		return false;
	}

	void ReadFile(FileResult &result)
	{
		PcapReader reader;
		CapturedPacket packet;
		int error = reader.Open(result.path);
		std::unique_lock lock(mutex_);

		if (error) {
			result.damage = strerror(error);
			return;
		}
		while (!stop_.load(std::memory_order_relaxed) && reader.Next(&packet)) {
			meter_.Packet(packet.data, packet.captured, packet.original, packet.time_ns,
				      packet.link_type, packet.interface);
			if (++result.packets % kCheckEvery == 0) {
				lock.unlock();
				lock.lock();
				if (!WaitForRoom(lock))
					return;
			}
		}
		if (reader.damaged()) {
			result.damage = reader.damage();
			result.damage_offset = reader.damage_offset();
		}
	}

	void Run()
	{
		double before = ThreadCpuSeconds();

		for (FileResult &file : files_)
			ReadFile(file);
		std::unique_lock lock(mutex_);

		meter_.FlushCache();
		while (WaitForRoom(lock) && !table_.FlushAll(meter_.clock()))
			;
		writer_.Flush();
		cpu_seconds_ = ThreadCpuSeconds() - before;
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
	FlowTable table_;
	UserMeter meter_;
	std::vector<FileResult> files_;
	std::thread thread_;
	std::mutex mutex_;
	std::atomic<bool> stop_{false};
	double cpu_seconds_ = 0;
	bool released_ = false;
};

void InitReplay(Napi::Env env, Napi::Object exports)
{
	exports.Set("Replay", Replay::Define(env));
}

} // namespace tidegate
