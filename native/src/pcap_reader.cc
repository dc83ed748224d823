#include "pcap_reader.h"

#include <algorithm>
#include <cstring>

namespace tidegate
{

namespace
{
constexpr uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d, kModified = 0xa1b2cd34;
} // namespace

// A packet is as long as the file says, but not shorter than what it holds nor longer than any packet is: a
// lying length must not overflow the sums.
uint32_t PcapReader::WireLength(uint32_t original, uint32_t captured)
{
	return std::max(std::min(original, kMaximumCaptured), captured);
}

// Times that a signed 64-bit count of ns cannot hold (before 1970, after 2262) are pinned to its ends.
uint64_t PcapReader::Nanoseconds(int64_t seconds, uint64_t rest)
{
	if (seconds < 0)
		return 0;
	if (static_cast<uint64_t>(seconds) >= INT64_MAX / kSecond - 5)
		return INT64_MAX;
	return static_cast<uint64_t>(seconds) * kSecond + rest;
}

uint16_t PcapReader::U16(const uint8_t *p) const
{
	uint16_t v;

	std::memcpy(&v, p, 2);
	return swapped_ ? __builtin_bswap16(v) : v;
}

uint32_t PcapReader::U32(const uint8_t *p) const
{
	uint32_t v;

	std::memcpy(&v, p, 4);
	return swapped_ ? __builtin_bswap32(v) : v;
}

int PcapReader::Open(const std::string &path)
{
	int error = window_.Open(path);

	if (error)
		return error;
	if (!window_.Fill(4)) {
		Damage("too short for a capture file");
		return window_.error();
	}
	uint32_t magic = U32(window_.data());

	if (magic == kSectionBlock) {
		next_generation_ = true;
		return 0;
	}
	if (magic != kMicroseconds && magic != kNanoseconds && magic != kModified) {
		swapped_ = true;
		magic = U32(window_.data());
	}
	if (magic != kMicroseconds && magic != kNanoseconds && magic != kModified) {
		Damage("neither pcap nor pcapng");
	} else if (!window_.Fill(24)) {
		Damage("file header cut off");
	} else {
		fraction_ns_ = magic == kNanoseconds ? 1 : 1000;
		// Kuznetzov's modified format has eight more octets in each packet header.
		packet_header_ = magic == kModified ? 24 : 16;
		link_type_ = U32(window_.data() + 20) & 0xffff;
		window_.Skip(24);
	}
	return window_.error();
}

PcapReader::Step PcapReader::Damage(const char *what)
{
	damage_ = what;
	damage_offset_ = window_.offset();
	ended_ = true;
	return Step::Stop;
}

PcapReader::Step PcapReader::Short(const char *what)
{
	return may_refill_ ? Damage(window_.error() ? strerror(window_.error()) : what) : Step::Stop;
}

bool PcapReader::Need(size_t octets)
{
	return window_.available() >= octets || (may_refill_ && window_.Fill(octets));
}

size_t PcapReader::Burst(CapturedPacket *packets, size_t room)
{
	size_t count = 0;

	while (count < room && !ended_) {
		// Only before the first packet of a burst may the window move: the others' octets must stay.
		may_refill_ = count == 0;
		if (!Need(1)) {
			if (may_refill_ && window_.error())
				Damage(strerror(window_.error()));
			ended_ = may_refill_;
			break;
		}
		Step step = next_generation_ ? NextBlock(&packets[count]) : NextClassic(&packets[count]);

		if (step == Step::Stop)
			break;
		if (step == Step::Packet)
			count++;
	}
	return count;
}

PcapReader::Step PcapReader::NextClassic(CapturedPacket *packet)
{
	if (!Need(packet_header_))
		return Short("packet header cut off");
	uint32_t captured = U32(window_.data() + 8);

	if (captured > kMaximumCaptured)
		return Damage("impossible packet length");
	if (!Need(packet_header_ + captured))
		return Short("packet cut off");
	const uint8_t *header = window_.data();

	packet->time_ns = Nanoseconds(U32(header), static_cast<uint64_t>(U32(header + 4)) * fraction_ns_);
	packet->data = header + packet_header_;
	packet->captured = captured;
	packet->original = WireLength(U32(header + 12), captured);
	packet->link_type = link_type_;
	packet->interface = 0;
	window_.Skip(packet_header_ + captured);
	return Step::Packet;
}

} // namespace tidegate
