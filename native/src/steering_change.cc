// Changes of weights that move no flow in progress: make before break, see steer_abi.h.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <sched.h>

#include "hash_set.h"
#include "steering.h"
#include "steering_rules.h"
#include "steering_time.h"
extern "C" {
#include "flow_key.h"
}

namespace tidegate
{

namespace
{
constexpr uint64_t kHoldStepNs = 50000000;

// While it lives, this thread runs before all ordinary ones: a change visits every CPU, and new flows wait
// for it. Not for long, for packets that come in a flood wait for an ordinary thread too (ksoftirqd).
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
	~Urgent() { End(); }
	void End()
	{
		if (!ended_)
			sched_setscheduler(0, policy_, &parameters_);
		ended_ = true;
	}
	void EndAfterAWhile()
	{
		if (!ended_ && MonotonicNs() - since_ns_ > kUrgentNs)
			End();
	}
	Urgent(const Urgent &) = delete;
	Urgent &operator=(const Urgent &) = delete;

      private:
	static constexpr uint64_t kUrgentNs = 5000000;

	uint64_t since_ns_ = MonotonicNs();
	bool ended_ = false;
	int policy_;
	struct sched_param parameters_;
};
} // namespace

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
	const uint32_t end = rules_end();
	std::vector<uint8_t> before(end * kBytes);
	std::vector<uint32_t> added;
	std::vector<bool> wanted(TG_STEER_RULES);
	BpfError failure;
	bool compiled = false;
	Urgent urgent;

	for (uint32_t i = 1; i < end; i++)
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
		failure = Move(wanted, report, [&] { urgent.EndAfterAWhile(); });
	if (!failure)
		return {};
	for (uint32_t i = 1; i < end; i++)
		std::memcpy(reinterpret_cast<uint8_t *>(&rules_[i]) + kFrom, &before[i * kBytes], kBytes);
	// A rule that is in force already goes the way of one that was given up.
	for (uint32_t number : added)
		rules_[number].used = compiled ? 2 : 0;
	return failure;
}

// Gives every rule the buckets that its weights ask for.
BpfError Steering::Move(const std::vector<bool> &wanted, SteerReport *report,
			const std::function<void()> &pause)
{
	std::vector<Change> changes;
	std::vector<std::vector<uint8_t>> targets(rules_end());

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
	return changes.empty() ? BpfError{} : MakeBeforeBreak(changes, report, pause);
}

BpfError Steering::MakeBeforeBreak(const std::vector<Change> &moves, SteerReport *report,
				   const std::function<void()> &pause)
{
	std::vector<const Change *> of_rule(TG_STEER_RULES, nullptr);
	auto moves_bucket = [&](const Change &move, uint32_t i) {
		return move.target[i] != (rules_[move.rule].buckets[i] & TG_BUCKET_LINK);
	};
	std::vector<std::vector<uint8_t>> before;
	auto undo = [&] {
		for (size_t at = 0; at < moves.size(); at++) {
			for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++)
				StoreBucket(&rules_[moves[at].rule].buckets[i], before[at][i]);
		}
		NextGeneration();
	};
	auto learn = [&] {
		for (const Change &move : moves) {
			for (uint32_t i = 0; !rules_[move.rule].hard && i < TG_STEER_BUCKETS; i++) {
				tg_u8 &bucket = rules_[move.rule].buckets[i];

				if (moves_bucket(move, i))
					StoreBucket(&bucket, bucket | TG_BUCKET_LEARN);
			}
		}
		NextGeneration();
	};
	auto set_target = [&](const Change &move, uint32_t i) {
		StoreBucket(
		    &rules_[move.rule].buckets[i],
		    static_cast<uint8_t>(move.target[i] | (rules_[move.rule].hard ? 0 : TG_BUCKET_PINNED)));
	};
	bool soft = false;

	for (const Change &move : moves) {
		const tg_u8 *buckets = rules_[move.rule].buckets;

		of_rule[move.rule] = &move;
		soft |= !rules_[move.rule].hard;
		before.emplace_back(buckets, buckets + TG_STEER_BUCKETS);
	}
	if (soft) {
		HashSet seen;
		std::vector<uint64_t> hashes;
		std::vector<uint32_t> links;
		// Buckets of each rule that a flow in progress is in.
		std::vector<std::vector<bool>> busy(rules_end());
		bool settled = settled_;

		settled_ = false;
		for (const Change &move : moves)
			busy[move.rule].resize(TG_STEER_BUCKETS);
		WatchLoss();
		learn();
		Grace();
		if (lost_at_ns_ && MonotonicNs() - lost_at_ns_ < idle_ns_) {
			// Lost records hide flows; whoever is alive shows itself within the idle timeout.
			for (; report->held_ns < idle_ns_ && !stop_.load(); report->held_ns += kHoldStepNs)
				SleepNs(kHoldStepNs);
		}
		enumerate_([&](const tg_flow_key &key) {
			uint32_t number = RuleOf(key);
			const Change *move = number ? of_rule[number] : nullptr;

			if ((++report->known_flows & 1023) == 0)
				pause();
			if (!move || rules_[number].hard)
				return;
			uint64_t hash = tg_hash(&key, loader_.secret());
			uint32_t bucket = TG_STEER_BUCKET(hash);

			if (!moves_bucket(*move, bucket) || pinned_.Contains(hash) || !seen.Insert(hash))
				return;
			busy[number][bucket] = true;
			hashes.push_back(hash);
			links.push_back(rules_[number].buckets[bucket] & TG_BUCKET_LINK);
		});
		if (pins_.size() + hashes.size() > kMaxPins) {
			undo();
			return Failed("pin the flows that stay", ENOSPC);
		}
		// A bucket without a flow to pin need not wait for those of the others.
		for (const Change &move : moves) {
			for (uint32_t i = 0; !rules_[move.rule].hard && i < TG_STEER_BUCKETS; i++) {
				if (!busy[move.rule][i] && moves_bucket(move, i))
					set_target(move, i);
			}
		}
		BpfError failure = Pin(std::move(hashes), std::move(links), settled);

		if (failure) {
			undo();
			return failure;
		}
		report->pinned_flows = seen.size();
	}
	for (const Change &move : moves) {
		for (uint32_t i = 0; i < TG_STEER_BUCKETS; i++) {
			if (moves_bucket(move, i))
				set_target(move, i);
		}
	}
	NextGeneration();
	report->done_ns = MonotonicNs();
	return {};
}

} // namespace tidegate
