#include "applications.h"

#include <algorithm>
#include <sys/random.h>

extern "C" {
#include "parse.h"
}

namespace tidegate
{

namespace
{
constexpr uint8_t kTls = 1, kHttp = 2, kDns = 4, kQuic = 8;
constexpr size_t kMaxStream = 16384; // a ClientHello is no longer
constexpr size_t kMaxPending = 16 << 20;

uint64_t TickOf(uint64_t ns)
{
	return ns >> TG_TICK_SHIFT;
}
} // namespace

// The beginning of one side's stream, or how far its datagrams were looked at.
struct Applications::Stream {
	bool begun = false;
	uint8_t open = 0;      // decoders that may still find something
	uint8_t doubted = 0;   // those to which the first segment meant nothing: is it the first?
	uint32_t base = 0;     // sequence number of the first octet
	std::string octets;    // without a hole
	uint32_t ahead_at = 0; // offset of one segment that came too early
	std::string ahead;
	QuicCrypto quic;
	size_t held = 0; // octets of these that pending_ counts
};

struct Applications::Flow {
	ApplicationText text;
	uint64_t begin_ns = 0, last_ns = 0;
	Stream streams[2];
	std::unique_ptr<Flow> next; // another flow with this key, while records of this one are to come
	std::list<tg_flow_key>::iterator place;
};

bool DecoderPorts::Has(uint16_t port) const
{
	return any || std::find(ports.begin(), ports.end(), port) != ports.end();
}

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

// The decoders to which a head may be of interest.
uint8_t Applications::Candidates(const tg_head &head) const
{
	bool to = head.side == TG_HEAD_TO_PORT;
	uint16_t port = (head.direction == 0) == to ? head.key.upper_port : head.key.lower_port;
	uint8_t found = 0;

	if (head.key.protocol == TG_PROTOCOL_TCP && to)
		found |= (options_.tls.Has(port) ? kTls : 0) | (options_.http.Has(port) ? kHttp : 0);
	if (head.key.protocol == TG_PROTOCOL_UDP && to)
		found |= options_.quic.Has(port) ? kQuic : 0;
	if (head.key.protocol == TG_PROTOCOL_TCP || head.key.protocol == TG_PROTOCOL_UDP)
		found |= options_.dns.Has(port) ? kDns : 0;
	return found;
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
	    (tcp ? stream.base != head.sequence : silent_ns > options_.idle_ns)) {
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

void Applications::ReadRules(const tg_head &head, const uint8_t *payload, Flow &flow)
{
	bool to = head.side == TG_HEAD_TO_PORT;
	uint16_t port = (head.direction == 0) == to ? head.key.upper_port : head.key.lower_port;

	for (const HeaderRule &rule : options_.rules) {
		if (rule.protocol != head.key.protocol || rule.side != head.side ||
		    (rule.port != 0 && rule.port != port))
			continue;
		if (static_cast<size_t>(rule.offset) + rule.mask.size() > head.octets) {
			counters_.fieldsShort++;
			continue;
		}
		std::string value = static_cast<char>(rule.name.size()) + rule.name;

		for (size_t i = 0; i < rule.mask.size(); i++)
			value += static_cast<char>(payload[rule.offset + i] & rule.mask[i]);
		counters_.fieldsNoRoom += !flow.text.Add(ApplicationField::HeaderField, value);
	}
}

// A segment of a TCP stream: taken where it continues what is there, kept where it comes one too early.
void Applications::ReadStream(const tg_head &head, const uint8_t *payload, Flow &flow)
{
	Stream &stream = flow.streams[head.direction & 1];
	std::string_view segment(reinterpret_cast<const char *>(payload), head.octets);
	uint32_t offset = head.sequence - stream.base;

	if (pending_ + segment.size() > kMaxPending || stream.octets.size() + segment.size() > kMaxStream) {
		counters_.headsNoRoom++;
		stream.open = stream.doubted = 0;
		return Release(stream);
	}
	// Earlier than the first that came: they were reordered on their way.
	bool earlier = offset > 0x80000000u && -offset <= segment.size();

	if (stream.open == 0 && !earlier) {
		if (offset >= stream.octets.size()) {
			stream.doubted = 0;
			Release(stream);
		}
		counters_.headsUnneeded++;
		return;
	}
	if (earlier) {
		stream.octets.insert(0, segment.substr(0, -offset));
		stream.open |= stream.doubted;
		stream.ahead_at += -offset;
		stream.base = head.sequence;
	} else if (offset > stream.octets.size()) {
		if (!stream.ahead.empty()) {
			counters_.headsOrphaned++;
			return;
		}
		stream.ahead = segment;
		stream.ahead_at = offset;
		return Settle(stream, flow);
	} else if (offset + segment.size() <= stream.octets.size()) {
		counters_.headsRepeated++;
		return;
	} else {
		segment.remove_prefix(stream.octets.size() - offset);
		stream.octets += segment;
	}
	if (!stream.ahead.empty() && stream.ahead_at <= stream.octets.size()) {
		size_t known = std::min(stream.octets.size() - stream.ahead_at, stream.ahead.size());

		stream.octets += stream.ahead.substr(known);
		stream.ahead = {};
	}
	const uint8_t *data = reinterpret_cast<const uint8_t *>(stream.octets.data());
	size_t size = stream.octets.size();
	bool alone = head.number == 0;

	stream.doubted = 0;
	auto settle = [&](uint8_t decoder, Decoded result) {
		if (result == Decoded::Foreign) {
			stream.open &= static_cast<uint8_t>(~decoder);
			if (alone && pending_ < kMaxPending / 2)
				stream.doubted |= decoder;
		}
		if (result == Decoded::Complete)
			stream.open = stream.doubted = 0;
	};

	if (stream.open & kTls)
		settle(kTls, DecodeTls(data, size, filter_, &flow.text));
	if (stream.open & kHttp)
		settle(kHttp, DecodeHttp(data, size, filter_, &flow.text));
	if (stream.open & kDns)
		settle(kDns, DecodeDns(data, size, true, filter_, &flow.text));
	Settle(stream, flow);
}

void Applications::ReadDatagram(const tg_head &head, const uint8_t *payload, Flow &flow)
{
	Stream &stream = flow.streams[head.direction & 1];
	bool to = head.side == TG_HEAD_TO_PORT;

	if ((stream.open & kDns) &&
	    DecodeDns(payload, head.octets, false, filter_, &flow.text) != Decoded::Incomplete)
		stream.open =
		    flow.text.Has(ApplicationField::DnsQName) ? 0 : static_cast<uint8_t>(stream.open & ~kDns);
	if ((stream.open & kQuic) && to) {
		QuicCrypto *crypto = options_.tls.On() ? &stream.quic : nullptr;

		if (DecodeQuic(payload, head.octets, options_.quic.any, filter_, crypto, &flow.text) !=
		    Decoded::Incomplete)
			stream.open = 0;
	}
	if (stream.open != 0 && pending_ > kMaxPending) {
		counters_.headsNoRoom++;
		stream.open = 0;
		return Release(stream);
	}
	Settle(stream, flow);
}

void Applications::Head(const tg_head &head, const uint8_t *payload)
{
	Flow *flow = FlowOf(head);

	if (!flow) {
		counters_.headsOrphaned++;
		return;
	}
	Stream &stream = flow->streams[head.direction & 1];

	if (!stream.begun) {
		stream.begun = true;
		stream.base = head.sequence;
		stream.open = Candidates(head);
		ReadRules(head, payload, *flow);
		if (stream.open == 0)
			Settle(stream, *flow);
	} else if (stream.open == 0 && stream.doubted == 0) {
		counters_.headsUnneeded++;
		return;
	} else if (head.number == 0 && head.key.protocol != TG_PROTOCOL_TCP) {
		counters_.headsRepeated++;
		return;
	}
	if ((stream.open | stream.doubted) != 0 && head.key.protocol == TG_PROTOCOL_TCP)
		ReadStream(head, payload, *flow);
	else if (stream.open != 0)
		ReadDatagram(head, payload, *flow);
	ForgetForeign(head.key);
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
