// Pins: flows that stay on their link although their bucket has another.
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <unordered_set>

#include "steering.h"
#include "steering_rules.h"
extern "C" {
#include "flow_key.h"
}

namespace tidegate
{

namespace
{
constexpr size_t kBatch = 4096;
// Reading the whole map takes as long as pinning some thousand flows.
constexpr size_t kFew = 2048;
} // namespace

// Pins flows to these links, except those that are pinned already: a flow that pinned itself since the pins
// were last read stays where it is. With `settled` there is none of those.
BpfError Steering::Pin(std::vector<uint64_t> hashes, std::vector<uint32_t> links, bool settled)
{
	for (uint64_t hash : hashes) {
		uint32_t bit = TG_STEER_FILTER_BIT(hash);

		__atomic_fetch_or(&filter_[bit / 64], 1ull << (bit % 64), __ATOMIC_SEQ_CST);
	}
	if (!settled && hashes.size() < kFew)
		return PinOneByOne(hashes, links);
	if (!settled) {
		BpfError failure = ReadPins();
		size_t kept = 0;

		if (failure)
			return failure;
		for (size_t i = 0; i < hashes.size(); i++) {
			if (pins_.contains(hashes[i]))
				continue;
			hashes[kept] = hashes[i];
			links[kept++] = links[i];
		}
		hashes.resize(kept);
		links.resize(kept);
	}
	return PinAtOnce(hashes, links);
}

void Steering::Remember(uint64_t hash, uint32_t link)
{
	pins_[hash] = link;
	pinned_.Insert(hash);
}

BpfError Steering::PinOneByOne(const std::vector<uint64_t> &hashes, const std::vector<uint32_t> &links)
{
	int fd = loader_.map_fd("steer_pins");

	for (size_t i = 0; i < hashes.size(); i++) {
		if (bpf_map_update_elem(fd, &hashes[i], &links[i], BPF_NOEXIST) == 0)
			Remember(hashes[i], links[i]);
		else if (errno != EEXIST)
			return Failed("pin the flows that stay", errno == E2BIG ? ENOSPC : errno);
	}
	return {};
}

// The kernel's batches know no BPF_NOEXIST: whoever pins itself meanwhile does so to the same link.
BpfError Steering::PinAtOnce(const std::vector<uint64_t> &hashes, const std::vector<uint32_t> &links)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	if (pins_.size() + hashes.size() > kMaxPins)
		return Failed("pin the flows that stay", ENOSPC);
	for (size_t done = 0; done < hashes.size();) {
		uint32_t count = static_cast<uint32_t>(std::min(kBatch, hashes.size() - done));

		if (bpf_map_update_batch(loader_.map_fd("steer_pins"), &hashes[done], &links[done], &count,
					 &options))
			return Failed("pin the flows that stay", errno == E2BIG ? ENOSPC : errno);
		done += count;
	}
	for (size_t i = 0; i < hashes.size(); i++)
		Remember(hashes[i], links[i]);
	return {};
}

// After a change, when nobody waits for it any more: which flows pinned themselves. If it fails, the next
// change finds out what it needs.
BpfError Steering::Settle()
{
	if (settled_)
		return {};
	// A packet that saw LEARN may pin its flow until here.
	Grace();
	BpfError failure = ReadPins();

	settled_ = !failure;
	return failure;
}

BpfError Steering::ReadPins()
{
	std::vector<uint64_t> hashes(kBatch);
	std::vector<uint32_t> links(kBatch);
	uint32_t from = 0, to = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	int fd = loader_.map_fd("steer_pins");

	pins_.clear();
	pinned_.Clear();
	for (bool first = true;; first = false) {
		uint32_t count = kBatch;
		int status = bpf_map_lookup_batch(fd, first ? nullptr : &from, &to, hashes.data(),
						  links.data(), &count, &options);

		if (status && errno != ENOENT)
			return Failed("read the pins", errno);
		for (uint32_t i = 0; i < count; i++)
			Remember(hashes[i], links[i]);
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
	settled_ = false;
	BpfError failure = Settle();

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
		failure = Move(wanted, &report, [] {});
		// Flows pinned themselves meanwhile.
		if (!failure)
			failure = Settle();
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
	// All at once: a change may be waiting. Nobody else deletes pins.
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	for (size_t done = 0; done < ended.size();) {
		uint32_t count = static_cast<uint32_t>(std::min(kBatch, ended.size() - done));

		if (bpf_map_delete_batch(fd, &ended[done], &count, &options))
			return Failed("delete the pins of flows that ended", errno);
		done += count;
	}
	for (uint64_t hash : ended)
		pins_.erase(hash);
	if (!ended.empty()) {
		pinned_.Clear();
		for (const auto &[hash, link] : pins_)
			pinned_.Insert(hash);
		RebuildFilter();
	}
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

} // namespace tidegate
