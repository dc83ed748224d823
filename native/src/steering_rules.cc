// Rules, and the tables by which a packet finds its own.
#include "steering_rules.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>

#include "steering.h"

namespace tidegate
{

uint32_t Steering::FindRule(const SteerTarget &target) const
{
	for (uint32_t i = 1; i < rules_end(); i++) {
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
	rules_end_.store(std::max(rules_end(), number + 1), std::memory_order_release);
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
	uint32_t version = control_->version + 1, copy = version & 1, blocks = 256, groups = 1, has_ipv6 = 0;
	int ipv6 = loader_.map_fd("steer_ipv6");
	std::vector<uint32_t> used;

	for (uint32_t i = 1; i < rules_end(); i++) {
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
	__atomic_store_n(&control_->version, version, __ATOMIC_RELEASE);
	control_->has_ipv6 = has_ipv6;
	rules_end_.store(used.empty() ? 1 : *std::max_element(used.begin(), used.end()) + 1,
			 std::memory_order_release);
	by_rank_ = std::move(used);
	if (!by_rank_.empty())
		NextGeneration();
	Grace(); // the other copy may be written from here on
	return {};
}

uint32_t Steering::RuleOfEndpoint(const uint8_t *address, bool ipv4, uint8_t protocol, uint16_t port) const
{
	uint32_t copy = control_->version & 1, group = 0;

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

} // namespace tidegate
