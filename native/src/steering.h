// The user-space side of steering: rules, weights and links of bpf/steer.h, changed so that no flow in
// progress moves.
#ifndef TIDEGATE_STEERING_H
#define TIDEGATE_STEERING_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "hash_set.h"
#include "loader.h"
extern "C" {
#include "steer_abi.h"
}

namespace tidegate
{

// An endpoint of a workload and how its flows are to be shared out.
struct SteerTarget {
	uint32_t workload = 0;
	uint8_t kind = 0; // enum tg_steer_kind
	bool hard = false;
	uint8_t protocol = 0, prefix_length = 0;
	uint16_t port = 0;
	uint8_t address[16] = {};
	uint32_t weights[TG_STEER_LINKS] = {}; // by link number; what they sum to is the whole
};

struct SteerLinkOptions {
	uint32_t number = 0; // 1..31
	std::string name, device, netns;
	uint32_t next_hop_ipv4 = 0;
	uint8_t next_hop_ipv6[16] = {};
	bool via_stack = false, drained = false;
	bool outside = false; // what arrives by it is not on its way out
};

struct SteerReport {
	uint32_t moved_buckets = 0;
	uint64_t known_flows = 0, pinned_flows = 0;
	uint64_t held_ns = 0;		    // LEARN was held so long because records had been lost
	uint64_t asked_ns = 0, done_ns = 0; // CLOCK_MONOTONIC: asked for; new flows follow. 0 = nothing moved
};

class Steering
{
      public:
	using Visitor = std::function<void(const tg_flow_key &)>;
	// Visits every flow that is older than the call: resident in caches, in rings, in the table.
	using Enumerate = std::function<void(const Visitor &)>;

	// The datapath must be loaded with steering.
	Steering(Loader &loader, uint64_t idle_ns, Enumerate enumerate);
	~Steering();

	// Maps the maps into memory. Once, before anything else.
	BpfError Open();

	// Makes a link known, or changes it. ENODEV: there is no such interface.
	BpfError SetLink(const SteerLinkOptions &options);

	// Frames that come in there for this address may be steered.
	void SetIngress(uint32_t ifindex, const uint8_t *mac);

	// Makes the rules exactly these, with their weights. New flows follow, others stay on their link
	// unless their rule is `hard`. E2BIG: too many rules or prefixes; ENOSPC: more flows would have to be
	// pinned than there is room for, and nothing was changed.
	BpfError Apply(const std::vector<SteerTarget> &targets, SteerReport *report);

	// Forgets pins of flows that ended, and rules that nothing depends on any more. How many pins are
	// left.
	BpfError Maintain(uint64_t *pins);

	// Makes the next change quick. After each, when nobody waits for it.
	BpfError Settle();

	// Lets a change that waits end soon. Before the datapath goes away.
	void Stop() { stop_.store(true); }

	// Tells the programs that somebody is alive; 0 = they steer on without.
	void Heartbeat(uint64_t deadman_ns);

	const tg_steer_rule &rule(uint32_t number) const { return rules_[number]; }
	// Rules from this number on were never used, or are free again. From any thread.
	uint32_t rules_end() const { return rules_end_.load(std::memory_order_acquire); }
	tg_steer_link &link(uint32_t number) { return links_[number]; }
	tg_steer_counters Counters() const;
	static constexpr uint32_t kMaxPins = 262144;

      private:
	struct Change {
		uint32_t rule;
		std::vector<uint8_t> target; // a link for each bucket
	};

	void *Map(const char *name, size_t bytes);
	uint32_t FindRule(const SteerTarget &target) const;
	uint32_t FreeRule() const;
	void NewRule(uint32_t number, const SteerTarget &target);
	uint32_t ParentOf(uint32_t number) const;
	BpfError Compile();
	bool InsertIPv4(uint32_t copy, const uint8_t *address, uint32_t length, uint16_t group,
			uint32_t *blocks);
	uint32_t RuleOf(const tg_flow_key &key) const;
	uint32_t RuleOfEndpoint(const uint8_t *address, bool ipv4, uint8_t protocol, uint16_t port) const;
	std::vector<uint8_t> Share(uint32_t number, const uint32_t *weights) const;
	// `pause` is called now and then while flows are looked through.
	BpfError Move(const std::vector<bool> &wanted, SteerReport *report,
		      const std::function<void()> &pause);
	BpfError MakeBeforeBreak(const std::vector<Change> &changes, SteerReport *report,
				 const std::function<void()> &pause);
	BpfError Pin(std::vector<uint64_t> hashes, std::vector<uint32_t> links, bool settled);
	BpfError PinOneByOne(const std::vector<uint64_t> &hashes, const std::vector<uint32_t> &links);
	BpfError PinAtOnce(const std::vector<uint64_t> &hashes, const std::vector<uint32_t> &links);
	BpfError ReadPins();
	void Remember(uint64_t hash, uint32_t link);
	void RebuildFilter();
	void NextGeneration();
	void Grace();
	void WatchLoss();

	Loader &loader_;
	uint64_t idle_ns_;
	Enumerate enumerate_;
	std::vector<std::pair<void *, size_t>> mapped_;
	tg_steer_control *control_ = nullptr;
	tg_steer_block *blocks_ = nullptr;
	tg_steer_group *groups_ = nullptr;
	tg_steer_rule *rules_ = nullptr;
	tg_steer_link *links_ = nullptr;
	uint64_t *filter_ = nullptr;
	tg_steer_ingress *ingress_ = nullptr;
	std::vector<uint32_t> by_rank_; // rules in force, most specific first
	std::atomic<uint32_t> rules_end_{1};
	// As the kernel's map was when it was last read, and what was added since. Flows that pinned
	// themselves since then are not in it.
	std::unordered_map<uint64_t, uint32_t> pins_;
	HashSet pinned_;      // its keys, for a change that is waited for
	bool settled_ = true; // pins_ is complete
	uint64_t lost_records_ = 0, lost_at_ns_ = 0;
	std::atomic<bool> stop_{false};
};

} // namespace tidegate

#endif
