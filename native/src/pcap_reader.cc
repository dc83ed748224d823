#include "pcap_reader.h"

#include <algorithm>
#include <cstring>

namespace tidegate
{

namespace
{
constexpr uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d, kModified = 0xa1b2cd34;
constexpr uint32_t kSectionBlock = 0x0a0d0d0a, kInterfaceBlock = 1, kPacketBlock = 2, kSimpleBlock = 3,
		   kEnhancedBlock = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint16_t kOptionEnd = 0, kOptionTsResolution = 9, kOptionTsOffset = 14;
constexpr uint64_t kSecond = 1000000000ull;
// Four times libpcap's MAXIMUM_SNAPLEN: a length beyond is damage, not data.
constexpr uint32_t kMaximumCaptured = 1 << 20;
constexpr uint32_t kMaximumOptions = 1 << 20; // of a section, an interface or a packet
constexpr uint32_t kBlockHeader = 8, kBlockFrame = 12;

// A packet is as long as the file says, but not shorter than what it holds nor longer than any packet is: a
// lying length must not overflow the sums.
uint32_t WireLength(uint32_t original, uint32_t captured)
{
	return std::max(std::min(original, kMaximumCaptured), captured);
}

// Times that a signed 64-bit count of ns cannot hold (before 1970, after 2262) are pinned to its ends.
uint64_t Nanoseconds(int64_t seconds, uint64_t rest)
{
	if (seconds < 0)
		return 0;
	if (static_cast<uint64_t>(seconds) >= INT64_MAX / kSecond - 5)
		return INT64_MAX;
	return static_cast<uint64_t>(seconds) * kSecond + rest;
}
} // namespace

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

void PcapReader::ReadInterface(const uint8_t *body, size_t length)
{
	Interface interface{U16(body), 1000000, 0, U32(body + 4)};

	for (size_t at = 8; at + 4 <= length;) {
		uint16_t code = U16(body + at), bytes = U16(body + at + 2);
		const uint8_t *value = body + at + 4;

		if (code == kOptionEnd || length - at - 4 < bytes)
			break;
		if (code == kOptionTsResolution && bytes >= 1) {
			uint64_t units = 1;

			// Bit 7: a power of two, else a power of ten.
			for (int i = 0; i < (value[0] & 0x7f) && units < (1ull << 59); i++)
				units *= value[0] & 0x80 ? 2 : 10;
			interface.units_per_second = units;
		} else if (code == kOptionTsOffset && bytes >= 8) {
			uint64_t first = U32(value), second = U32(value + 4);

			interface.offset_seconds =
			    static_cast<int64_t>(swapped_ ? first << 32 | second : second << 32 | first);
		}
		at += 4 + (bytes + 3u) / 4 * 4;
	}
	interfaces_.push_back(interface);
}

PcapReader::Step PcapReader::FillPacket(CapturedPacket *packet, const uint8_t *data, size_t limit,
					uint32_t interface, uint64_t timestamp, uint32_t captured,
					uint32_t original)
{
	if (interface >= interfaces_.size())
		return Damage("packet of an interface that was not described");
	if (captured > limit)
		return Damage("packet longer than its block");
	const Interface &on = interfaces_[interface];
	uint64_t rest = timestamp % on.units_per_second;
	int64_t seconds = static_cast<int64_t>(
	    std::min<uint64_t>(timestamp / on.units_per_second, static_cast<uint64_t>(INT64_MAX)));

	if (__builtin_add_overflow(seconds, on.offset_seconds, &seconds))
		seconds = INT64_MAX;
	packet->time_ns = Nanoseconds(seconds, static_cast<uint64_t>(static_cast<unsigned __int128>(rest) *
								     kSecond / on.units_per_second));
	packet->data = data;
	packet->captured = captured;
	packet->original = WireLength(original, captured);
	packet->link_type = on.link_type;
	packet->interface = interface;
	return Step::Packet;
}

PcapReader::Step PcapReader::ReadPacket(CapturedPacket *packet, uint32_t type, uint32_t length)
{
	const uint8_t *body = window_.data() + kBlockHeader;
	uint32_t bytes = length - kBlockFrame, fixed = type == kSimpleBlock ? 4 : 20;
	Step step;

	if (bytes < fixed)
		return Damage("packet block cut off");
	if (type == kSimpleBlock) {
		uint32_t original = U32(body), captured = std::min(original, bytes - fixed);

		if (!interfaces_.empty() && interfaces_[0].snap_length != 0)
			captured = std::min(captured, interfaces_[0].snap_length);
		step = FillPacket(packet, body + fixed, bytes - fixed, 0, 0, captured, original);
		// A simple block has no time of its own.
		packet->time_ns = last_time_ns_;
	} else {
		uint32_t interface = type == kEnhancedBlock ? U32(body) : U16(body);
		uint64_t timestamp = static_cast<uint64_t>(U32(body + 4)) << 32 | U32(body + 8);

		step = FillPacket(packet, body + fixed, bytes - fixed, interface, timestamp, U32(body + 12),
				  U32(body + 16));
		last_time_ns_ = packet->time_ns;
	}
	if (step == Step::Packet)
		window_.Skip(length);
	return step;
}

// A block of no interest may be longer than any window.
PcapReader::Step PcapReader::SkipBlock(uint32_t length)
{
	uint64_t start = window_.offset();

	for (size_t left = length; left > 0;) {
		if (!Need(1)) {
			Step step = Short("block cut off");

			// The damage is the block, not the place where the file ends.
			damage_offset_ = start;
			return step;
		}
		size_t part = std::min(left, window_.available());

		window_.Skip(part);
		left -= part;
	}
	return Step::Other;
}

PcapReader::Step PcapReader::NextBlock(CapturedPacket *packet)
{
	if (!Need(kBlockFrame))
		return Short("block header cut off");
	const uint8_t *block = window_.data();
	uint32_t raw;

	std::memcpy(&raw, block, 4);
	if (raw == kSectionBlock) {
		uint32_t magic;

		// The section says which byte order its own length is in.
		std::memcpy(&magic, block + 8, 4);
		if (magic != kByteOrderMagic && __builtin_bswap32(magic) != kByteOrderMagic)
			return Damage("section header without a byte order");
		swapped_ = magic != kByteOrderMagic;
	}
	uint32_t type = U32(block), length = U32(block + 4);
	bool packets = type == kEnhancedBlock || type == kPacketBlock || type == kSimpleBlock;

	if (length < kBlockFrame || length % 4 != 0)
		return Damage("impossible block length");
	// Skipping moves the cursor step by step: only where the window may move.
	if (!packets && type != kSectionBlock && type != kInterfaceBlock)
		return window_.available() >= length || may_refill_ ? SkipBlock(length) : Step::Stop;
	if (length > kMaximumOptions + (packets ? kMaximumCaptured : 0))
		return Damage("impossible block length");
	if (!Need(length))
		return Short("block cut off");
	block = window_.data();
	if (U32(block + length - 4) != length)
		return Damage("the two lengths of a block differ");
	if (packets)
		return ReadPacket(packet, type, length);
	if (type == kSectionBlock) {
		if (length < kBlockFrame + 16)
			return Damage("section header cut off");
		interfaces_.clear();
	} else {
		if (length < kBlockFrame + 8)
			return Damage("interface block cut off");
		ReadInterface(block + kBlockHeader, length - kBlockFrame);
	}
	window_.Skip(length);
	return Step::Other;
}

} // namespace tidegate
