#include <sys/random.h>

#include "application_flow.h"

extern "C" {
#include "parse.h"
}

namespace tidegate
{

namespace
{
uint64_t TickOf(uint64_t ns)
{
	return ns >> TG_TICK_SHIFT;
}
} // namespace

size_t Applications::KeyHash::operator()(const tg_flow_key &key) const
{
	return tg_hash(&key, secret);
}

bool Applications::KeyEqual::operator()(const tg_flow_key &a, const tg_flow_key &b) const
{
	return tg_key_equal(&a, &b) != 0;
}

Applications::Applications(const ApplicationOptions &options)
    : options_(options), names_(options.addresses),
      filter_([this](std::string_view name) { return names_.Apply(name); }), flows_(16, [] {
	      KeyHash hash{};

	      // Senders choose keys: they must not know which ones collide.
	      if (getrandom(hash.secret, sizeof(hash.secret), 0) != sizeof(hash.secret))
		      std::abort();
	      return hash;
      }())
{
}

Applications::~Applications() = default;

ApplicationCounters Applications::counters() const
{
	ApplicationCounters counters = counters_;

	counters.flows = flows_.size();
	return counters;
}

// The flow that a head belongs to, a new one where its first payload says so; null when it can be none.
Applications::Flow *Applications::FlowOf(const tg_head &head)
{
	auto at = flows_.find(head.key);
	bool tcp = head.key.protocol == TG_PROTOCOL_TCP;

	if (at == flows_.end()) {
		if (head.number != 0)
			return nullptr;
		while (flows_.size() >= options_.max_flows && !order_.empty()) {
			counters_.flowsEvicted++;
			Erase(flows_.find(order_.front()));
		}
		at = flows_.emplace(head.key, std::make_unique<Flow>()).first;
		at->second->place = order_.insert(order_.end(), head.key);
		at->second->begin_ns = head.time_ns;
	}
	Flow &first = *at->second;

	order_.splice(order_.end(), order_, first.place);
	Flow &flow = first.next ? *first.next : first;
	const Stream &stream = flow.streams[head.direction & 1];
	uint64_t silent_ns = head.time_ns > flow.last_ns ? head.time_ns - flow.last_ns : 0;

	// A connection has its own sequence numbers; datagrams have nothing but time.
	if (head.number == 0 && stream.begun &&
	    (tcp ? head.opened && stream.base != head.sequence : silent_ns > options_.idle_ns)) {
		// The one in between had no record of its own, or it would be the first by now.
		for (size_t d = 0; first.next && d < 2; d++)
			Release(first.next->streams[d]);
		first.next = std::make_unique<Flow>();
		first.next->begin_ns = first.next->last_ns = head.time_ns;
		return first.next.get();
	}
	flow.last_ns = head.time_ns;
	return &flow;
}

void Applications::Account(Stream &stream)
{
	size_t held = stream.octets.size() + stream.ahead.size() + stream.quic.octets.size() * 2;

	pending_ = pending_ + held - stream.held;
	stream.held = held;
}

void Applications::Release(Stream &stream)
{
	stream.octets = {};
	stream.ahead = {};
	stream.quic = {};
	Account(stream);
}

// What a head was good for, once its decoders have seen it.
void Applications::Settle(Stream &stream, const Flow &flow)
{
	if (stream.open == 0 && stream.doubted == 0)
		Release(stream);
	else
		Account(stream);
	(stream.open == 0 && flow.text.empty() ? counters_.headsForeign : counters_.headsUsed)++;
}

void Applications::Erase(Flows::iterator at)
{
	for (Flow *flow = at->second.get(); flow; flow = flow->next.get()) {
		for (Stream &stream : flow->streams)
			Release(stream);
	}
	order_.erase(at->second->place);
	flows_.erase(at);
}

// A flow that will have nothing to tell takes no room.
void Applications::ForgetForeign(const tg_flow_key &key)
{
	auto at = flows_.find(key);
	const Flow &flow = *at->second;

	if (!flow.next && flow.text.empty() &&
	    (flow.streams[0].open | flow.streams[0].doubted | flow.streams[1].open |
	     flow.streams[1].doubted) == 0)
		Erase(at);
}

const std::string *Applications::Find(const tg_flow_key &key, uint64_t last_ns) const
{
	if (flows_.empty())
		return nullptr;
	auto at = flows_.find(key);

	if (at == flows_.end() || at->second->text.empty() || TickOf(at->second->begin_ns) > TickOf(last_ns))
		return nullptr;
	return &at->second->text.octets();
}

void Applications::End(const tg_flow_key &key, uint64_t last_ns)
{
	if (flows_.empty())
		return;
	auto at = flows_.find(key);

	if (at == flows_.end() || TickOf(at->second->begin_ns) > TickOf(last_ns))
		return;
	if (!at->second->next)
		return Erase(at);
	std::unique_ptr<Flow> next = std::move(at->second->next);

	for (Stream &stream : at->second->streams)
		Release(stream);
	next->place = at->second->place;
	at->second = std::move(next);
}

} // namespace tidegate
