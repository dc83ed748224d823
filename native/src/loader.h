// Loads gateway.bpf.o, attaches it, and gives access to its maps. All descriptors are held for the object's
// life.
#ifndef TIDEGATE_LOADER_H
#define TIDEGATE_LOADER_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

extern "C" {
#include "flow_abi.h"
}
#include "predecessor.h"

struct bpf_object;
struct bpf_program;

namespace tidegate
{

// A failed operation of the kernel or libbpf, with what libbpf had to say.
struct BpfError {
	int error = 0; // errno
	std::string operation;
	std::string log;

	explicit operator bool() const { return error != 0; }
};

// A failure of this thread's last operation, with what libbpf printed meanwhile.
BpfError Failed(const char *operation, int error);

struct LoaderOptions {
	std::string object_path;
	tg_cache_settings settings{};
	uint32_t idle_ticks = 0;
	uint64_t sweep_period_ns = 0;
	uint32_t sweep_slice = 0;
	uint32_t ring_bytes = 0;
	// Directory in a bpffs where maps and links are pinned, and found again after a crash; empty =
	// nothing is pinned.
	std::string pin_directory;
	uint32_t sweep_per_batch = 0; // slots swept at the first packet of each run of the NIC's poll loop
	uint32_t clock_packets = 16;  // the clock is read once in so many packets of a run
	bool steering = false;	      // packets may be sent on by XDP, see bpf/steer.h
	bool egress = false;	      // the egress program is loaded too
	bool behind_xdp = false;      // so is the one that meters behind another's XDP program
	// Of the ring that all CPUs share for payload heads. Always the same, so that a process that wants
	// heads can take over the maps of one that did not.
	uint32_t head_ring_bytes = 1 << 20;
	std::vector<std::pair<tg_head_service, tg_head_want>> head_wants;
};

class Loader
{
      public:
	Loader() = default;
	~Loader();
	Loader(const Loader &) = delete;
	Loader &operator=(const Loader &) = delete;

	BpfError Load(const LoaderOptions &options);

	// Arms the sweep timer of every CPU that this process may run on.
	BpfError Arm();

	// Makes what is resident in `count` slots of every CPU's cache, from `first` on, leave into its ring.
	// At most flush_slice() slots a call fit an empty ring.
	BpfError FlushSlots(uint32_t first, uint32_t count);
	uint32_t flush_slice() const;

	// Attaches the XDP program; `netns` is a path such as /run/netns/x, or empty for our own. Never
	// replaces a program that is already there (EBUSY). *tagged: tags that the NIC takes off are read.
	BpfError Attach(const std::string &name, const std::string &netns, bool native, uint32_t *ifindex,
			bool *tagged);

	// Attaches the egress program to tc egress of an interface.
	BpfError AttachEgress(const std::string &name, const std::string &netns);

	// Instead of Attach(): meters at tc ingress, before all other tc programs, what the XDP program of
	// somebody else lets pass.
	BpfError AttachBehindXdp(const std::string &name, const std::string &netns, uint32_t *ifindex);
	bool HasPinnedBehindXdp(const std::string &name, const std::string &netns);

	// Runs a program over one frame without a NIC, for tests. Returns its verdict in *verdict.
	BpfError Run(const char *program, const uint8_t *frame, uint32_t bytes, uint32_t *verdict);

	// What every CPU gives up from now on. Any thread.
	void SetOverload(const tg_overload &overload);

	// True when a pinned link to this interface exists: Attach() will take it over, traffic
	// uninterrupted.
	bool HasPinnedLink(const std::string &name, const std::string &netns);

	void Detach();

	// Removes every pin: nothing outlives this object then.
	void Unpin();

	// Datapaths of other layouts that were found, the newest first.
	std::vector<std::unique_ptr<Predecessor>> &predecessors() { return predecessors_; }
	// What they had counted is ours from now on, at once and only once.
	void Retire(const Predecessor &predecessor);
	bool HasRetired(const Predecessor &predecessor) const
	{
		return retired().datapath == predecessor.datapath() ||
		       retired().earlier == predecessor.datapath();
	}
	const tg_retired &retired() const { return user_state_->retired[user_state_->retired_current & 1]; }

	// The maps of an earlier process were found and are used on, with their sizes.
	bool adopted() const { return adopted_; }
	tg_user_state *user_state() const { return user_state_; }
	tg_reader_state *reader_state(uint32_t cpu) const { return &reader_states_[cpu]; }

	// The key of the flows' hash: that of the process whose maps were found, if any.
	const tg_u32 *secret() const { return secret_; }
	bool steering() const { return steering_; }
	// False when the kernel is too old to send what XDP only marks (Linux 6.6 brought tcx links).
	bool defers() const { return defers_; }
	// The BPF id of the flow cache: the datapath's name for as long as it is pinned.
	uint32_t datapath_id() const;

	uint32_t cpus() const { return cpus_; }
	uint32_t cache_entries() const { return entries_; }
	int ring_fd(uint32_t cpu) const { return rings_[cpu]; }
	uint32_t armed_cpus() const { return armed_; }
	uint32_t ring_bytes() const { return ring_bytes_; }
	uint32_t head_ring_bytes() const { return head_ring_bytes_; }
	tg_counters Counters() const; // summed over CPUs
	tg_interface_counters InterfaceCounters(uint32_t ifindex) const;
	uint64_t CacheResidentPackets() const; // counted entry by entry
	// Visits the keys of the flows that the caches hold.
	void VisitCaches(const std::function<void(const tg_flow_key &)> &visit) const;
	tg_cpu_state CpuState(uint32_t cpu) const;
	int program_fd(const char *name) const;
	int map_fd(const char *name) const;

      private:
	BpfError PreparePins(LoaderOptions *options);
	int FindPredecessors();
	bool FindLinkPin(const std::string &pin);
	BpfError OpenRings();
	void AdoptSteering(LoaderOptions *options);
	BpfError SizeSteering();
	int ProgramFor(const std::string &name, uint32_t ifindex, bool *tagged);
	int LoadTagged(uint32_t ifindex);
	struct TcHook {
		const char *program, *pin; // the name of the pin begins so
		bool ingress;
	};
	BpfError AttachTc(const TcHook &hook, const std::string &name, const std::string &netns,
			  uint32_t *ifindex);
	void AttachDeferred(const std::string &name, const std::string &netns, uint32_t ifindex);
	void RemoveLinkPins();
	static bool TakeOverLink(const std::string &pin, int program, uint32_t ifindex, int *link);
	std::string LinkPin(const std::string &name, const std::string &netns) const;
	BpfError RunOnEachCpu(const char *program, uint32_t first, uint32_t count, uint32_t *ran);
	void *MapMemory(const char *name, size_t bytes, bool writable = false) const;

	bpf_object *object_ = nullptr;
	std::string object_path_;
	std::vector<int> tagged_; // programs, each for one device
	std::string pin_directory_;
	bool adopted_ = false, steering_ = false, defers_ = true;
	tg_u32 secret_[TG_SECRET_WORDS] = {};
	int owner_ = -1; // holds the lock of the pin directory
	std::vector<std::unique_ptr<Predecessor>> predecessors_;
	tg_user_state *user_state_ = nullptr;
	tg_reader_state *reader_states_ = nullptr;
	size_t user_state_bytes_ = 0, reader_states_bytes_ = 0;
	std::vector<int> links_;
	std::vector<int> rings_;
	uint32_t cpus_ = 0, entries_ = 0, ring_bytes_ = 0, head_ring_bytes_ = 0, armed_ = 0;
	const tg_counters *counters_ = nullptr;
	size_t counters_bytes_ = 0;
	const tg_delta *cache_ = nullptr;
	size_t cache_bytes_ = 0;
	const tg_interface_counters *interfaces_ = nullptr;
	size_t interfaces_bytes_ = 0;
	tg_cpu_state *states_ = nullptr;
	size_t states_bytes_ = 0;
};

} // namespace tidegate

#endif
