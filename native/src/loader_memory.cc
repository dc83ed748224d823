// What the programs' memory says: counters, states, and what the caches hold.
#include <algorithm>
#include <cstring>

#include "loader.h"

namespace tidegate
{

namespace
{
constexpr uint32_t kTagAhead = 16, kKeyAhead = 6; // entries

void Add(tg_counters *sum, const tg_counters &more)
{
	uint64_t *into = reinterpret_cast<uint64_t *>(sum);
	const uint64_t *from = reinterpret_cast<const uint64_t *>(&more);

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		into[i] += from[i];
}
} // namespace

void Loader::SetOverload(const tg_overload &overload)
{
	uint64_t word;

	std::memcpy(&word, &overload, sizeof(word));
	for (uint32_t cpu = 0; cpu < cpus_; cpu++)
		__atomic_store_n(reinterpret_cast<uint64_t *>(&states_[cpu].overload), word,
				 __ATOMIC_RELAXED);
}

tg_counters Loader::Counters() const
{
	tg_counters sum{};
	uint64_t *into = reinterpret_cast<uint64_t *>(&sum);

	for (uint32_t cpu = 0; cpu < cpus_; cpu++) {
		const volatile uint64_t *from = reinterpret_cast<const volatile uint64_t *>(&counters_[cpu]);

		// Backwards, because packets move forwards: what left the cache is read before what came in,
		// so no difference is ever negative.
		for (size_t i = sizeof(sum) / sizeof(uint64_t); i-- > 0;)
			into[i] += from[i];
	}
	Add(&sum, retired().counters);
	return sum;
}

void Loader::Retire(const Predecessor &predecessor)
{
	const tg_retired &now = retired();

	if (HasRetired(predecessor))
		return;
	tg_retired sum = predecessor.Totals();

	Add(&sum.counters, now.counters);
	sum.delivered_packets += now.delivered_packets;
	sum.delivered_octets += now.delivered_octets;
	sum.unread_packets += now.unread_packets;
	sum.unread_octets += now.unread_octets;
	uint64_t next = user_state_->retired_current + 1;

	user_state_->retired[next & 1] = sum;
	__atomic_store_n(&user_state_->retired_current, next, __ATOMIC_RELEASE);
}

tg_interface_counters Loader::InterfaceCounters(uint32_t ifindex) const
{
	tg_interface_counters sum{};

	for (uint32_t cpu = 0; cpu < cpus_; cpu++) {
		const volatile tg_interface_counters &at =
		    interfaces_[cpu * TG_INTERFACE_SLOTS + ifindex % TG_INTERFACE_SLOTS];

		sum.packets += at.packets;
		sum.octets += at.octets;
		sum.tx_packets += at.tx_packets;
		sum.tx_octets += at.tx_octets;
	}
	return sum;
}

tg_cpu_state Loader::CpuState(uint32_t cpu) const
{
	return states_[cpu];
}

uint64_t Loader::CacheResidentPackets() const
{
	uint64_t packets = 0;

	for (uint32_t i = 0; i < cpus_ * entries_; i++) {
		const volatile tg_delta &e = cache_[i];

		if (e.tag != 0)
			packets += static_cast<uint64_t>(e.packets[0]) + e.packets[1];
	}
	return packets;
}

void Loader::VisitCaches(const std::function<void(const tg_flow_key &)> &visit) const
{
	const uint32_t last = cpus_ * entries_ - 1;

	for (uint32_t i = 0; i <= last; i++) {
		const volatile tg_delta &e = cache_[i];
		const volatile tg_delta &soon = cache_[std::min(i + kKeyAhead, last)];

		// Much of it lies in the caches of other CPUs.
		__builtin_prefetch(const_cast<const tg_delta *>(&cache_[std::min(i + kTagAhead, last)]));
		if (soon.tag != 0)
			__builtin_prefetch(const_cast<const tg_flow_key *>(&soon.key));
		if (e.tag != 0) {
			tg_flow_key key;

			// Another CPU may be writing it: then it is a flow that is met for the first time
			// now.
			std::memcpy(&key, const_cast<const tg_flow_key *>(&e.key), sizeof(key));
			visit(key);
		}
	}
}

} // namespace tidegate
