// The blocks of pcapng files.
#include "pcap_reader.h"

#include <algorithm>
#include <cstring>

namespace tidegate
{

namespace
{
constexpr uint32_t kInterfaceBlock = 1, kPacketBlock = 2, kSimpleBlock = 3, kEnhancedBlock = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint16_t kOptionEnd = 0, kOptionTsResolution = 9, kOptionTsOffset = 14;
constexpr uint32_t kMaximumOptions = 1 << 20; // of a section, an interface or a packet
constexpr uint32_t kBlockHeader = 8, kBlockFrame = 12;
} // namespace

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
