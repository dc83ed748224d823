#include "steering.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/membarrier.h>
#include <net/if.h>
#include <numeric>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unordered_set>

#include "nic_probe.h"
extern "C" {
#include "flow_key.h"
}

namespace tidegate
{

namespace
{
constexpr size_t kBatch = 4096;
constexpr uint64_t kHoldStepNs = 50000000;

uint64_t MonotonicNs()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000ull + static_cast<uint64_t>(now.tv_nsec);
}

void SleepNs(uint64_t ns)
{
	struct timespec time = {static_cast<time_t>(ns / 1000000000ull),
				static_cast<long>(ns % 1000000000ull)};

	nanosleep(&time, nullptr);
}

void StoreBucket(tg_u8 *bucket, uint8_t value)
{
	__atomic_store_n(bucket, value, __ATOMIC_RELEASE);
}

// While it lives, this thread runs before all ordinary ones: a change visits every CPU, and new flows wait
// for it.
class Urgent
{
      public:
	Urgent()
	{
		struct sched_param first = {.sched_priority = 1};

		policy_ = sched_getscheduler(0);
		sched_getparam(0, &parameters_);
		sched_setscheduler(0, SCHED_FIFO,
				   &first); // refused without CAP_SYS_NICE: then it is only slower
	}
	~Urgent() { sched_setscheduler(0, policy_, &parameters_); }
	Urgent(const Urgent &) = delete;
	Urgent &operator=(const Urgent &) = delete;

      private:
	int policy_;
	struct sched_param parameters_;
};

bool IsIPv4(const uint8_t *address)
{
	static const uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return std::memcmp(address, kMapped, sizeof(kMapped)) == 0;
}

bool InPrefix(const uint8_t *address, const uint8_t *prefix, uint32_t length)
{
	if (std::memcmp(address, prefix, length / 8) != 0)
		return false;
	return length % 8 == 0 || ((address[length / 8] ^ prefix[length / 8]) >> (8 - length % 8)) == 0;
}
} // namespace

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

uint32_t Steering::FindRule(const SteerTarget &target) const
{
	for (uint32_t i = 1; i < TG_STEER_RULES; i++) {
		const tg_steer_rule &rule = rules_[i];

		if (rule.used && rule.protocol == target.protocol && rule.port == target.port &&
		    rule.prefix_length == target.prefix_length &&
		    std::memcmp(rule.address, target.address, sizeof(rule.address)) == 0)
			return i;
	}
	return 0;
}

uint32_t Steering::FreeRule() const
{
	for (uint32_t i = 1; i < TG_STEER_RULES; i++) {
		if (!rules_[i].used)
			return i;
	}
	return 0;
}

// The rule that applies to a rule's flows without it; 0 none.
uint32_t Steering::ParentOf(uint32_t number) const
{
	const tg_steer_rule &rule = rules_[number];

	for (uint32_t other : by_rank_) {
		const tg_steer_rule &candidate = rules_[other];

		if (other != number && candidate.used && candidate.prefix_length <= rule.prefix_length &&
		    (candidate.port == 0 || candidate.port == rule.port) &&
		    (candidate.protocol == 0 || candidate.protocol == rule.protocol) &&
		    InPrefix(rule.address, candidate.address, candidate.prefix_length))
			return other;
	}
	return 0;
}

// A new rule changes nothing yet: its flows stay where the rule above, or the routing table, has them.
void Steering::NewRule(uint32_t number, const SteerTarget &target)
{
	tg_steer_rule &rule = rules_[number];

	std::memset(&rule, 0, sizeof(rule));
	rule.protocol = target.protocol;
	rule.prefix_length = target.prefix_length;
	rule.port = target.port;
	std::memcpy(rule.address, target.address, sizeof(rule.address));
	uint32_t parent = ParentOf(number);

	if (parent)
		std::memcpy(rule.buckets, rules_[parent].buckets, sizeof(rule.buckets));
	rule.used = 1;
}

// Writes an IPv4 prefix over everything that is shorter. Prefixes come shortest first.
bool Steering::InsertIPv4(uint32_t copy, const uint8_t *address, uint32_t length, uint16_t group,
			  uint32_t *blocks)
{
	tg_steer_block *base = blocks_ + copy * TG_STEER_BLOCKS;
	auto fill = [&](uint32_t block, uint32_t first, uint32_t count) {
		for (uint32_t i = first; i < first + count; i++)
			base[block].at[i] = group;
	};
	auto deeper = [&](uint32_t block, uint8_t at) -> uint32_t {
		uint16_t value = base[block].at[at];

		if (value & TG_STEER_DEEPER)
			return value & ~TG_STEER_DEEPER;
		if (*blocks >= TG_STEER_BLOCKS)
			return 0;
		for (tg_u16 &element : base[*blocks].at)
			element = value;
		base[block].at[at] = static_cast<tg_u16>(TG_STEER_DEEPER | *blocks);
		return (*blocks)++;
	};

	if (length <= 8) {
		for (uint32_t i = 0; i < 1u << (8 - length); i++)
			fill((address[0] & (0xff00 >> length & 0xff)) + i, 0, 256);
		return true;
	}
	if (length <= 16) {
		fill(address[0], address[1] & (0xff00 >> (length - 8) & 0xff), 1u << (16 - length));
		return true;
	}
	uint32_t third = deeper(address[0], address[1]);

	if (third == 0)
		return false;
	if (length <= 24) {
		fill(third, address[2] & (0xff00 >> (length - 16) & 0xff), 1u << (24 - length));
		return true;
	}
	uint32_t fourth = deeper(third, address[2]);

	if (fourth == 0)
		return false;
	fill(fourth, address[3] & (0xff00 >> (length - 24) & 0xff), 1u << (32 - length));
	return true;
}

// Writes prefixes and groups into the copy that is not in force, then puts that in force with one store.
BpfError Steering::Compile()
{
	uint32_t copy = (control_->copy & 1) ^ 1, blocks = 256, groups = 1, has_ipv6 = 0;
	int ipv6 = loader_.map_fd("steer_ipv6");
	std::vector<uint32_t> used;

	for (uint32_t i = 1; i < TG_STEER_RULES; i++) {
		if (rules_[i].used)
			used.push_back(i);
	}
	std::sort(used.begin(), used.end(), [&](uint32_t a, uint32_t b) {
		const tg_steer_rule &x = rules_[a], &y = rules_[b];

		if (x.prefix_length != y.prefix_length)
			return x.prefix_length > y.prefix_length;
		if ((x.port == 0) != (y.port == 0))
			return y.port == 0;
		if ((x.protocol == 0) != (y.protocol == 0))
			return y.protocol == 0;
		return a < b;
	});
	tg_steer_ipv6_key key = {}, next;

	for (void *previous = nullptr; bpf_map_get_next_key(ipv6, previous, &next) == 0;) {
		if (next.copy != copy) {
			key = next;
			previous = &key;
			continue;
		}
		bpf_map_delete_elem(ipv6, &next);
		previous = nullptr;
	}
	std::memset(blocks_ + copy * TG_STEER_BLOCKS, 0, TG_STEER_BLOCKS * sizeof(tg_steer_block));
	// Prefixes shortest first, so that longer ones are written over them.
	for (size_t i = used.size(); i-- > 0;) {
		const tg_steer_rule &rule = rules_[used[i]];
		bool done = false;

		for (size_t j = i + 1; j < used.size() && !done; j++)
			done = rules_[used[j]].prefix_length == rule.prefix_length &&
			       std::memcmp(rules_[used[j]].address, rule.address, 16) == 0;
		if (done)
			continue;
		uint32_t first = groups, count = 0;
		tg_steer_group *group = nullptr;

		for (uint32_t other : used) {
			const tg_steer_rule &entry = rules_[other];

			if (entry.prefix_length > rule.prefix_length ||
			    !InPrefix(rule.address, entry.address, entry.prefix_length))
				continue;
			if (count % TG_STEER_GROUP_ENTRIES == 0) {
				if (groups >= TG_STEER_GROUPS ||
				    count / TG_STEER_GROUP_ENTRIES >= TG_STEER_GROUP_CHAIN)
					return Failed("make room for the steering rules", E2BIG);
				if (group)
					group->next = static_cast<tg_u16>(groups);
				group = &groups_[copy * TG_STEER_GROUPS + groups++];
				*group = {};
			}
			group->entries[group->count++] = {
			    entry.port, static_cast<tg_u16>(other), entry.protocol, {}};
			count++;
		}
		if (IsIPv4(rule.address) && rule.prefix_length >= 96) {
			if (!InsertIPv4(copy, rule.address + 12, rule.prefix_length - 96u,
					static_cast<uint16_t>(first), &blocks))
				return Failed("make room for the steering prefixes", E2BIG);
			continue;
		}
		key = {32u + rule.prefix_length, copy, {}};
		std::memcpy(key.address, rule.address, 16);
		if (bpf_map_update_elem(ipv6, &key, &first, BPF_ANY))
			return Failed("insert an IPv6 prefix", errno);
		has_ipv6 = 1;
	}
	control_->has_ipv6 |= has_ipv6;
	__atomic_store_n(&control_->copy, copy, __ATOMIC_RELEASE);
	control_->has_ipv6 = has_ipv6;
	by_rank_ = std::move(used);
	if (!by_rank_.empty())
		NextGeneration();
	Grace(); // the other copy may be written from here on
	return {};
}

uint32_t Steering::RuleOfEndpoint(const uint8_t *address, bool ipv4, uint8_t protocol, uint16_t port) const
{
	uint32_t copy = control_->copy & 1, group = 0;

	if (!ipv4) {
		for (uint32_t number : by_rank_) {
			const tg_steer_rule &rule = rules_[number];

			if ((rule.port == 0 || rule.port == port) &&
			    (rule.protocol == 0 || rule.protocol == protocol) &&
			    InPrefix(address, rule.address, rule.prefix_length))
				return number;
		}
		return 0;
	}
	const tg_steer_block *base = blocks_ + copy * TG_STEER_BLOCKS;

	group = base[address[12]].at[address[13]];
	for (int i = 14; i < 16 && (group & TG_STEER_DEEPER); i++)
		group = base[group & ~TG_STEER_DEEPER].at[address[i]];
	while (group && !(group & TG_STEER_DEEPER)) {
		const tg_steer_group &at = groups_[copy * TG_STEER_GROUPS + group];

		for (uint32_t i = 0; i < at.count; i++) {
			if ((at.entries[i].port == 0 || at.entries[i].port == port) &&
			    (at.entries[i].protocol == 0 || at.entries[i].protocol == protocol))
				return at.entries[i].rule;
		}
		group = at.next;
	}
	return 0;
}

// As steer_choose in the kernel.
uint32_t Steering::RuleOf(const tg_flow_key &key) const
{
	bool ipv4 = key.kind == TG_KIND_IPV4, upper = key.lower_port > key.upper_port;

	if ((!ipv4 && key.kind != TG_KIND_IPV6) || key.vlan || key.tunnel_kind)
		return 0;
	for (int side = 0; side < 2; side++, upper = !upper) {
		uint32_t rule = upper ? RuleOfEndpoint(key.upper_address, ipv4, key.protocol, key.upper_port)
				      : RuleOfEndpoint(key.lower_address, ipv4, key.protocol, key.lower_port);

		if (rule)
			return rule;
	}
	return 0;
}

// A link for each bucket by weight (largest remainder), moving as few buckets as can be.
std::vector<uint8_t> Steering::Share(uint32_t number, const uint32_t *weights) const
{
	uint64_t sum = std::accumulate(weights, weights + TG_STEER_LINKS, uint64_t{0});
	std::vector<uint8_t> target(TG_STEER_BUCKETS);
	uint32_t room[TG_STEER_LINKS] = {}, given = 0;
	std::vector<std::pair<uint64_t, uint32_t>> remainders;

	for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++)
		target[i] = rules_[number].buckets[i] & TG_BUCKET_LINK;
	for (uint32_t i = 0; i < TG_STEER_LINKS; i++) {
		uint64_t exact = static_cast<uint64_t>(weights[i]) * TG_STEER_BUCKETS;

		room[i] = static_cast<uint32_t>(exact / sum);
		given += room[i];
		if (weights[i])
			remainders.emplace_back(exact % sum, i);
	}
	std::sort(remainders.rbegin(), remainders.rend());
	for (size_t i = 0; given < TG_STEER_BUCKETS; i++, given++)
		room[remainders[i % remainders.size()].second]++;
	std::vector<uint32_t> homeless;

	for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++) {
		if (room[target[i]])
			room[target[i]]--;
		else
			homeless.push_back(i);
	}
	for (uint32_t i = 0, link = 0; i < homeless.size(); i++) {
		while (room[link] == 0)
			link++;
		room[link]--;
		target[homeless[i]] = static_cast<uint8_t>(link);
	}
	return target;
}

BpfError Steering::Apply(const std::vector<SteerTarget> &targets, SteerReport *report)
{
	// All of a rule but its buckets, for when nothing may change after all.
	constexpr size_t kFrom = offsetof(tg_steer_rule, used), kBytes = sizeof(tg_steer_rule) - kFrom;
	std::vector<uint8_t> before(TG_STEER_RULES * kBytes);
	std::vector<uint32_t> added;
	std::vector<bool> wanted(TG_STEER_RULES);
	BpfError failure;
	bool compiled = false;
	Urgent urgent;

	for (uint32_t i = 0; i < TG_STEER_RULES; i++)
		std::memcpy(&before[i * kBytes], reinterpret_cast<uint8_t *>(&rules_[i]) + kFrom, kBytes);
	for (const SteerTarget &target : targets) {
		uint32_t number = FindRule(target);

		if (number == 0) {
			number = FreeRule();
			if (number == 0) {
				failure = Failed("make room for the steering rules", E2BIG);
				break;
			}
			NewRule(number, target);
			added.push_back(number);
		}
		tg_steer_rule &rule = rules_[number];

		wanted[number] = true;
		rule.used = 1;
		rule.workload = target.workload;
		rule.kind = target.kind;
		rule.hard = target.hard;
		std::memcpy(rule.weights, target.weights, sizeof(rule.weights));
	}
	if (!failure && !added.empty()) {
		failure = Compile();
		compiled = !failure;
	}
	if (!failure)
		failure = Move(wanted, report);
	if (!failure)
		return {};
	for (uint32_t i = 1; i < TG_STEER_RULES; i++)
		std::memcpy(reinterpret_cast<uint8_t *>(&rules_[i]) + kFrom, &before[i * kBytes], kBytes);
	// A rule that is in force already goes the way of one that was given up.
	for (uint32_t number : added)
		rules_[number].used = compiled ? 2 : 0;
	return failure;
}

// Gives every rule the buckets that its weights ask for.
BpfError Steering::Move(const std::vector<bool> &wanted, SteerReport *report)
{
	std::vector<Change> changes;
	std::vector<std::vector<uint8_t>> targets(TG_STEER_RULES);

	// Least specific first: a rule that was given up follows the one above it.
	for (size_t rank = by_rank_.size(); rank-- > 0;) {
		uint32_t number = by_rank_[rank];
		tg_steer_rule &rule = rules_[number];

		if (!wanted[number]) {
			rule.used = 2;
			std::memset(rule.weights, 0, sizeof(rule.weights));
		}
		uint32_t parent = wanted[number] ? 0 : ParentOf(number);
		Change change{number, wanted[number] ? Share(number, rule.weights)
				      : parent	     ? targets[parent]
						     : std::vector<uint8_t>(TG_STEER_BUCKETS)};
		uint32_t moved = 0;

		for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++)
			moved += change.target[i] != (rule.buckets[i] & TG_BUCKET_LINK);
		report->moved_buckets += moved;
		targets[number] = change.target;
		if (moved)
			changes.push_back(std::move(change));
	}
	return changes.empty() ? BpfError{} : MakeBeforeBreak(changes, report);
}

BpfError Steering::MakeBeforeBreak(const std::vector<Change> &moves, SteerReport *report)
{
	std::vector<const Change *> of_rule(TG_STEER_RULES, nullptr);
	auto moves_bucket = [&](const Change &move, uint32_t i) {
		return move.target[i] != (rules_[move.rule].buckets[i] & TG_BUCKET_LINK);
	};
	auto set_learn = [&](bool on) {
		for (const Change &move : moves) {
			if (rules_[move.rule].hard)
				continue;
			for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++) {
				tg_u8 &bucket = rules_[move.rule].buckets[i];

				if (moves_bucket(move, i))
					StoreBucket(&bucket, on ? bucket | TG_BUCKET_LEARN
								: bucket & ~TG_BUCKET_LEARN);
			}
		}
		NextGeneration();
	};
	bool soft = false;

	for (const Change &move : moves) {
		of_rule[move.rule] = &move;
		soft |= !rules_[move.rule].hard;
	}
	if (soft) {
		std::unordered_set<uint64_t> seen;
		std::vector<uint64_t> hashes;
		std::vector<uint32_t> links;

		WatchLoss();
		set_learn(true);
		Grace();
		if (lost_at_ns_ && MonotonicNs() - lost_at_ns_ < idle_ns_) {
			// Lost records hide flows; whoever is alive shows itself within the idle timeout.
			for (; report->held_ns < idle_ns_ && !stop_.load(); report->held_ns += kHoldStepNs)
				SleepNs(kHoldStepNs);
		}
		enumerate_([&](const tg_flow_key &key) {
			uint32_t number = RuleOf(key);
			const Change *move = number ? of_rule[number] : nullptr;

			report->known_flows++;
			if (!move || rules_[number].hard)
				return;
			uint64_t hash = tg_hash(&key, loader_.secret());
			uint32_t bucket = TG_STEER_BUCKET(hash);

			if (!moves_bucket(*move, bucket) || pins_.contains(hash) || !seen.insert(hash).second)
				return;
			hashes.push_back(hash);
			links.push_back(rules_[number].buckets[bucket] & TG_BUCKET_LINK);
		});
		BpfError failure = pins_.size() + hashes.size() > kMaxPins
				       ? Failed("pin the flows that stay", ENOSPC)
				       : Pin(hashes, links);

		if (failure) {
			set_learn(false);
			return failure;
		}
		report->pinned_flows = hashes.size();
	}
	for (const Change &move : moves) {
		tg_steer_rule &rule = rules_[move.rule];

		for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++) {
			if (!moves_bucket(move, i))
				continue;
			StoreBucket(
			    &rule.buckets[i],
			    static_cast<uint8_t>(move.target[i] | (rule.hard ? 0 : TG_BUCKET_PINNED)));
		}
	}
	NextGeneration();
	return ReadPins();
}

BpfError Steering::Pin(const std::vector<uint64_t> &hashes, const std::vector<uint32_t> &links)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	for (uint64_t hash : hashes) {
		uint32_t bit = TG_STEER_FILTER_BIT(hash);

		__atomic_fetch_or(&filter_[bit / 64], 1ull << (bit % 64), __ATOMIC_SEQ_CST);
	}
	for (size_t done = 0; done < hashes.size();) {
		uint32_t count = static_cast<uint32_t>(std::min(kBatch, hashes.size() - done));

		if (bpf_map_update_batch(loader_.map_fd("steer_pins"), &hashes[done], &links[done], &count,
					 &options))
			return Failed("pin the flows that stay", errno);
		done += count;
	}
	return {};
}

BpfError Steering::ReadPins()
{
	std::vector<uint64_t> hashes(kBatch);
	std::vector<uint32_t> links(kBatch);
	uint32_t from = 0, to = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	int fd = loader_.map_fd("steer_pins");

	pins_.clear();
	for (bool first = true;; first = false) {
		uint32_t count = kBatch;
		int status = bpf_map_lookup_batch(fd, first ? nullptr : &from, &to, hashes.data(),
						  links.data(), &count, &options);

		if (status && errno != ENOENT)
			return Failed("read the pins", errno);
		for (uint32_t i = 0; i < count; i++)
			pins_[hashes[i]] = links[i];
		if (status)
			return {};
		from = to;
	}
}

// Bits of pins that are gone only cost a look-up; now and then they are cleared. No LEARN is set meanwhile.
void Steering::RebuildFilter()
{
	std::vector<uint64_t> words(TG_STEER_FILTER_WORDS);

	for (const auto &[hash, link] : pins_) {
		uint32_t bit = TG_STEER_FILTER_BIT(hash);

		words[bit / 64] |= 1ull << (bit % 64);
	}
	for (size_t i = 0; i < words.size(); i++)
		__atomic_store_n(&filter_[i], words[i], __ATOMIC_RELAXED);
}

BpfError Steering::Maintain(uint64_t *left)
{
	bool given_up = std::any_of(by_rank_.begin(), by_rank_.end(),
				    [&](uint32_t number) { return rules_[number].used == 2; });

	WatchLoss();
	// Flows that pinned themselves while the last change ended.
	BpfError failure = ReadPins();

	if (failure)
		return failure;
	*left = pins_.size();
	bool pinned = std::any_of(by_rank_.begin(), by_rank_.end(), [&](uint32_t number) {
		const tg_u8 *buckets = rules_[number].buckets;

		return std::any_of(buckets, buckets + TG_STEER_BUCKETS,
				   [](tg_u8 bucket) { return bucket & TG_BUCKET_PINNED; });
	});
	if (!pinned && !given_up)
		return {};
	if (given_up) {
		// The rule above may have moved on since.
		std::vector<bool> wanted(TG_STEER_RULES);
		SteerReport report;

		for (uint32_t number : by_rank_)
			wanted[number] = rules_[number].used == 1;
		failure = Move(wanted, &report);
		if (failure)
			return failure;
	}
	std::unordered_set<uint64_t> alive;
	std::vector<bool> needed(TG_STEER_RULES);
	std::vector<uint64_t> ended;
	int fd = loader_.map_fd("steer_pins");

	enumerate_([&](const tg_flow_key &key) {
		uint64_t hash = tg_hash(&key, loader_.secret());
		auto pin = pins_.find(hash);

		if (pin == pins_.end())
			return;
		uint32_t number = RuleOf(key);

		// Where the bucket says the same as the pin, the flow needs none.
		if (number &&
		    (rules_[number].buckets[TG_STEER_BUCKET(hash)] & TG_BUCKET_LINK) != pin->second) {
			alive.insert(hash);
			needed[number] = true;
		}
	});
	for (const auto &[hash, link] : pins_) {
		if (!alive.contains(hash))
			ended.push_back(hash);
	}
	for (uint64_t hash : ended) {
		bpf_map_delete_elem(fd, &hash);
		pins_.erase(hash);
	}
	if (!ended.empty())
		RebuildFilter();
	*left = pins_.size();
	bool changed = false;

	for (uint32_t number : by_rank_) {
		if (rules_[number].used == 2 && !needed[number]) {
			rules_[number].used = 0;
			changed = true;
		} else if (pins_.empty()) {
			for (tg_u8 &bucket : rules_[number].buckets)
				StoreBucket(&bucket, bucket & TG_BUCKET_LINK);
		}
	}
	return changed ? Compile() : BpfError{};
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
 * bottom halves disabled, and no thread runs in between. A CPU that we may not visit is waited for by the
 * kernel.
 */
void Steering::Grace()
{
	cpu_set_t before, one;
	bool all = true;

	sched_getaffinity(0, sizeof(before), &before);
	for (uint32_t cpu = 0; cpu < loader_.cpus(); cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
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
