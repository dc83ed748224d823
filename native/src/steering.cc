// The maps of steering: links, interfaces, generations and what is counted.
#include "steering.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nic_probe.h"
#include "steering_rules.h"
#include "steering_time.h"

namespace tidegate
{

Steering::Steering(Loader &loader, uint64_t idle_ns, Enumerate enumerate)
    : loader_(loader), idle_ns_(idle_ns), enumerate_(std::move(enumerate))
{
}

Steering::~Steering()
{
	for (auto &[memory, bytes] : mapped_)
		munmap(memory, bytes);
}

void *Steering::Map(const char *name, size_t bytes)
{
	size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), rounded = (bytes + page - 1) / page * page;
	void *memory = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_SHARED, loader_.map_fd(name), 0);

	if (memory == MAP_FAILED)
		return nullptr;
	mapped_.emplace_back(memory, rounded);
	return memory;
}

BpfError Steering::Open()
{
	auto *tables = static_cast<tg_steer_tables *>(Map(".data.steer", sizeof(tg_steer_tables)));
	blocks_ =
	    static_cast<tg_steer_block *>(Map("steer_blocks", 2 * TG_STEER_BLOCKS * sizeof(tg_steer_block)));
	groups_ =
	    static_cast<tg_steer_group *>(Map("steer_groups", 2 * TG_STEER_GROUPS * sizeof(tg_steer_group)));
	rules_ = static_cast<tg_steer_rule *>(Map("steer_rules", TG_STEER_RULES * sizeof(tg_steer_rule)));
	filter_ = static_cast<uint64_t *>(Map("steer_filter", TG_STEER_FILTER_WORDS * sizeof(uint64_t)));
	if (!tables || !blocks_ || !groups_ || !rules_ || !filter_)
		return Failed("map the steering maps into memory", errno);
	control_ = &tables->control;
	links_ = tables->links;
	ingress_ = tables->ingress;
	std::memcpy(control_->secret, loader_.secret(), TG_SECRET_WORDS * sizeof(tg_u32));
	control_->has_secret = 1;
	// A process that died in the middle of a change left LEARN behind: flows pin themselves for nothing.
	for (uint32_t i = 1; i < TG_STEER_RULES; i++) {
		if (!rules_[i].used)
			continue;
		rules_end_ = i + 1;
		for (tg_u8 &bucket : rules_[i].buckets)
			StoreBucket(&bucket, bucket & ~TG_BUCKET_LEARN);
	}
	WatchLoss();
	lost_at_ns_ = 0;
	BpfError failure = ReadPins();

	return failure ? failure : Compile();
}

BpfError Steering::SetLink(const SteerLinkOptions &options)
{
	tg_steer_link &link = links_[options.number];
	uint32_t number = options.number, ifindex = 0;
	bool redirects = false;
	BpfError failure;
	// The kernel resolves the interface of a devmap in the namespace of whoever writes it.
	int entered = InNetworkNamespace(options.netns, [&] {
		ifindex = if_nametoindex(options.device.c_str());
		if (ifindex == 0)
			failure = Failed("find the interface", ENODEV);
		else if (bpf_map_update_elem(loader_.map_fd("steer_devices"), &number, &ifindex, BPF_ANY))
			failure = Failed("make the link known to XDP", errno);
		else
			redirects = TakesRedirects(ifindex);
	});

	if (entered)
		failure = Failed("enter the network namespace", entered);
	if (failure) {
		// Whatever it was before, it is no way out now; its flows take another.
		link.drained = 1;
		link.checked = 0;
		return failure;
	}
	std::strncpy(link.name, options.name.c_str(), sizeof(link.name) - 1);
	link.next_hop_ipv4 = options.next_hop_ipv4;
	std::memcpy(link.next_hop_ipv6, options.next_hop_ipv6, sizeof(link.next_hop_ipv6));
	// A driver that does not take what XDP sends would drop it.
	link.via_stack = options.via_stack || !redirects;
	link.drained = options.drained;
	link.ifindex = ifindex;
	link.checked = 0;
	if (ingress_[ifindex % TG_INTERFACE_SLOTS].ifindex == ifindex)
		ingress_[ifindex % TG_INTERFACE_SLOTS].outside = options.outside;
	return {};
}

void Steering::Heartbeat(uint64_t deadman_ns)
{
	__atomic_store_n(&control_->heartbeat_ns, MonotonicNs(), __ATOMIC_RELAXED);
	__atomic_store_n(&control_->deadman_ns, deadman_ns, __ATOMIC_RELAXED);
}

void Steering::NextGeneration()
{
	__atomic_store_n(&control_->generation, control_->generation % 255 + 1, __ATOMIC_SEQ_CST);
}

/*
 * When this thread has run on a CPU, whatever XDP program was under way there has ended: programs run with
 * bottom halves disabled, and no thread runs in between. That is so already for the CPU it is on. A CPU that
 * we may not visit is waited for by the kernel.
 */
void Steering::Grace()
{
	cpu_set_t before, one;
	bool all = true;
	uint32_t here = static_cast<uint32_t>(sched_getcpu());

	sched_getaffinity(0, sizeof(before), &before);
	for (uint32_t i = 1; i < loader_.cpus(); i++) {
		CPU_ZERO(&one);
		CPU_SET((here + i) % loader_.cpus(), &one);
		all &= sched_setaffinity(0, sizeof(one), &one) == 0;
	}
	sched_setaffinity(0, sizeof(before), &before);
	if (!all)
		syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void Steering::WatchLoss()
{
	tg_counters counters = loader_.Counters();
	// Packets that overload kept out of their flow's record hide the flow as a lost record does.
	uint64_t lost = counters.ring_lost_records + counters.sampled_out_packets + counters.folded_packets;

	if (lost != lost_records_)
		lost_at_ns_ = MonotonicNs();
	lost_records_ = lost;
}

void Steering::SetIngress(uint32_t ifindex, const uint8_t *mac)
{
	tg_steer_ingress &ingress = ingress_[ifindex % TG_INTERFACE_SLOTS];

	ingress.ifindex = ifindex;
	ingress.mac = 0;
	std::memcpy(&ingress.mac, mac, 6);
}

tg_steer_counters Steering::Counters() const
{
	tg_steer_counters sum{};
	uint64_t *into = reinterpret_cast<uint64_t *>(&sum);

	for (uint32_t cpu = 0; cpu < loader_.cpus(); cpu++) {
		tg_cpu_state state = loader_.CpuState(cpu);
		const uint64_t *from = reinterpret_cast<const uint64_t *>(&state.steer);

		for (size_t i = 0; i < sizeof(sum) / sizeof(uint64_t); i++)
			into[i] += from[i];
	}
	return sum;
}

} // namespace tidegate
