// Runs the programs of bench/packet/bench.bpf.c over a trace and measures the CPU time of each run.
#include <cerrno>
#include <cstring>
#include <memory>
#include <sched.h>
#include <sys/mman.h>
#include <vector>

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include "addon.h"
#include "bpf_error.h"
#include "clocks.h"
#include "loader.h"
#include "nic_probe.h"
#include "options.h"
#include "ring_reader.h"
#include "steering.h"

namespace tidegate
{

namespace
{
constexpr __u32 kLiveFrames = 1u << 1; // BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18

double ThreadCpuNs()
{
	return static_cast<double>(ClockNs(CLOCK_THREAD_CPUTIME_ID));
}
} // namespace

class PacketBench : public Napi::ObjectWrap<PacketBench>
{
      public:
	static Napi::Function Define(Napi::Env env)
	{
		return DefineClass(env, "PacketBench",
				   {
				       InstanceMethod<&PacketBench::SetTrace>("setTrace"),
				       InstanceMethod<&PacketBench::Run>("run"),
				       InstanceMethod<&PacketBench::Live>("live"),
				   });
	}

	// new PacketBench(options): like the meter's, with `cpu`, the one that everything runs on.
	explicit PacketBench(const Napi::CallbackInfo &info) : Napi::ObjectWrap<PacketBench>(info)
	{
		Napi::Object options = info[0].As<Napi::Object>();
		LoaderOptions loader;

		loader.object_path = StringOption(options, "objectPath");
		loader.settings = CacheSettings(options);
		loader.idle_ticks = U32Option(options, "idleTicks");
		loader.sweep_period_ns = 1000000000;
		loader.sweep_slice = 1;
		loader.sweep_per_batch = U32Option(options, "sweepPerBatch");
		loader.clock_packets = U32Option(options, "clockPackets");
		loader.ring_bytes = U32Option(options, "ringBytes");
		cpu_ = U32Option(options, "cpu");
		loader.steering = true;
		BpfError failure = loader_.Load(loader);

		if (!failure)
			failure = Steer();
		int error = failure ? 0 : ring_.Open(loader_.ring_fd(cpu_), loader.ring_bytes);

		if (error)
			failure = BpfError{error, "map a ring buffer", ""};
		if (failure)
			ThrowBpfError(info.Env(), failure);
	}

	~PacketBench() override
	{
		if (trace_)
			munmap(trace_, trace_bytes_);
	}

      private:
	// Every packet of the trace goes to 192.168.0.1:443, by one of two links whose neighbours are known;
	// 300 other prefixes are steered too.
	BpfError Steer()
	{
		std::vector<SteerTarget> targets;
		SteerReport report;
		BpfError failure = steering_.Open();
		const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
		uint64_t pins;

		for (uint32_t number = 1; number <= 2 && !failure; number++) {
			failure = steering_.SetLink({.number = number, .name = "bench", .device = "lo"});
			tg_steer_link &link = steering_.link(number);

			link.fixed = 1;
			link.state[0] = TG_LINK_READY;
			link.mtu[0] = 1500;
			link.mac[0][0] = 0x010000000002ull;
			link.mac[0][1] = 0x020000000002ull;
		}
		for (uint32_t i = 0; i <= 300 && !failure; i++) {
			SteerTarget target{
			    .workload = i, .kind = TG_STEER_PLACEMENT, .protocol = 6, .port = 443};
			const uint8_t host[4] = {192, 168, 0, 1}, other[4] = {20, static_cast<uint8_t>(i / 8),
									      static_cast<uint8_t>(i), 0};

			target.prefix_length = i ? 120 : 128;
			target.address[10] = target.address[11] = 0xff;
			std::memcpy(target.address + 12, i ? other : host, 4);
			target.weights[1] = target.weights[2] = 500;
			targets.push_back(target);
		}
		if (!failure)
			failure = steering_.Apply(targets, &report);
		steering_.SetIngress(1, mac);
		return failure ? failure : steering_.Maintain(&pins);
	}

	// setTrace(Uint32Array of TRACE_PACKETS flow numbers below 2^24)
	void SetTrace(const Napi::CallbackInfo &info)
	{
		Napi::Uint32Array flows = info[0].As<Napi::Uint32Array>();

		if (!trace_) {
			trace_bytes_ = flows.ElementLength() * sizeof(uint64_t);
			void *memory = mmap(nullptr, trace_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED,
					    loader_.map_fd("trace"), 0);

			if (memory == MAP_FAILED)
				return ThrowBpfError(info.Env(), BpfError{errno, "map the trace", ""});
			trace_ = static_cast<uint64_t *>(memory);
		}
		for (size_t i = 0; i < trace_bytes_ / sizeof(uint64_t); i++)
			trace_[i] = flows[i];
	}

	// run(program, frame, packets) -> {cpuNs, exports, lost}: CPU time of this thread, the system call
	// included. The ring is emptied afterwards, outside the measured time.
	Napi::Value Run(const Napi::CallbackInfo &info)
	{
		std::string program = info[0].As<Napi::String>();
		Napi::Uint8Array frame = info[1].As<Napi::Uint8Array>();
		uint32_t packets = info[2].As<Napi::Number>().Uint32Value();
		Napi::Object result = Napi::Object::New(info.Env());
		tg_counters before = loader_.Counters();
		cpu_set_t was, one;
		uint8_t out[256];
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.Data(), .data_out = out,
			    .data_size_in = static_cast<__u32>(frame.ByteLength()),
			    .data_size_out = sizeof(out), .repeat = static_cast<int>(packets));

		CPU_ZERO(&one);
		CPU_SET(cpu_, &one);
		sched_getaffinity(0, sizeof(was), &was);
		sched_setaffinity(0, sizeof(one), &one);
		double start = ThreadCpuNs();
		int status = bpf_prog_test_run_opts(loader_.program_fd(program.c_str()), &run);
		double end = ThreadCpuNs();

		sched_setaffinity(0, sizeof(was), &was);
		if (status || run.retval != 1 /* XDP_DROP */) {
			ThrowBpfError(info.Env(), BpfError{status ? errno : EIO, "run " + program, ""});
			return info.Env().Undefined();
		}
		tg_counters after = loader_.Counters();
		uint64_t drained = 0;

		while (size_t count = ring_.Take(SIZE_MAX).count)
			drained += count;
		ring_.Commit();
		result.Set("cpuNs", end - start);
		result.Set("loopNs", static_cast<double>(run.duration) * packets);
		result.Set("exports", static_cast<double>(after.exported_records - before.exported_records));
		result.Set("drained", static_cast<double>(drained));
		result.Set("lost", static_cast<double>(after.ring_lost_records - before.ring_lost_records));
		return result;
	}

	// live(program, frame, packets, netns, near, far) -> {cpuNs, received, exports, lost}: frames made by
	// the kernel go out by the veth device `near`, and the program runs on the native XDP hook of its
	// other end, `far`, on the same CPU: CPU time of the whole way, from page pool to verdict.
	Napi::Value Live(const Napi::CallbackInfo &info)
	{
		std::string program = info[0].As<Napi::String>(), netns = info[3].As<Napi::String>(),
			    near = info[4].As<Napi::String>(), far = info[5].As<Napi::String>();
		Napi::Uint8Array frame = info[1].As<Napi::Uint8Array>();
		uint32_t packets = info[2].As<Napi::Number>().Uint32Value();
		tg_counters before = loader_.Counters();
		uint64_t cursor[3] = {};
		double cpu_ns = 0;
		BpfError failure;
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.Data(),
			    .data_size_in = static_cast<__u32>(frame.ByteLength()),
			    .repeat = static_cast<int>(packets), .flags = kLiveFrames, .batch_size = 64);

		int entered = InNetworkNamespace(netns, [&] {
			uint32_t zero = 0, ifindex = if_nametoindex(far.c_str());
			LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
			cpu_set_t one;
			int link = bpf_link_create(loader_.program_fd(program.c_str()),
						   static_cast<int>(ifindex), BPF_XDP, &options);

			if (link < 0) {
				failure = Failed("attach XDP", errno);
				return;
			}
			cursor[2] = if_nametoindex(near.c_str());
			bpf_map_update_elem(loader_.map_fd("cursor"), &zero, cursor, BPF_ANY);
			CPU_ZERO(&one);
			CPU_SET(cpu_, &one);
			sched_setaffinity(0, sizeof(one), &one);
			double start = ThreadCpuNs();

			if (bpf_prog_test_run_opts(loader_.program_fd("bench_live"), &run))
				failure = Failed("send live frames", errno);
			cpu_ns = ThreadCpuNs() - start;
			bpf_map_lookup_elem(loader_.map_fd("cursor"), &zero, cursor);
			close(link);
		});

		if (entered)
			failure = Failed("enter the network namespace", entered);
		if (failure) {
			ThrowBpfError(info.Env(), failure);
			return info.Env().Undefined();
		}
		tg_counters after = loader_.Counters();
		Napi::Object result = Napi::Object::New(info.Env());

		while (ring_.Take(SIZE_MAX).count != 0)
			;
		ring_.Commit();
		result.Set("cpuNs", cpu_ns);
		result.Set("received", static_cast<double>(cursor[0]));
		result.Set("exports", static_cast<double>(after.exported_records - before.exported_records));
		result.Set("lost", static_cast<double>(after.ring_lost_records - before.ring_lost_records));
		return result;
	}

	Loader loader_;
	Steering steering_{loader_, 0, [](const Steering::Visitor &) {}};
	RingReader ring_;
	uint64_t *trace_ = nullptr;
	size_t trace_bytes_ = 0;
	uint32_t cpu_ = 0;
};

void InitPacketBench(Napi::Env env, Napi::Object exports)
{
	exports.Set("PacketBench", PacketBench::Define(env));
}

} // namespace tidegate
