// What payload heads are read for: header fields by rule, and the decoders.
#include <algorithm>

#include "application_flow.h"

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
} // namespace

bool DecoderPorts::Has(uint16_t port) const
{
	return any || std::find(ports.begin(), ports.end(), port) != ports.end();
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
		// Their octets are counted from the beginning of the stream.
		if (head.opened)
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

} // namespace tidegate
