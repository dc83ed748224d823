#include "pcap_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
constexpr uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d, kModified = 0xa1b2cd34;
constexpr uint32_t kSectionBlock = 0x0a0d0d0a, kInterfaceBlock = 1, kPacketBlock = 2, kSimpleBlock = 3,
		   kEnhancedBlock = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint16_t kOptionEnd = 0, kOptionTsResolution = 9, kOptionTsOffset = 14;
// No capture holds longer packets; a length beyond is damage, not data (libpcap's MAXIMUM_SNAPLEN).
constexpr uint32_t kMaximumCaptured = 262144 * 4;

uint32_t Swap32(uint32_t v)
{
	return __builtin_bswap32(v);
}
} // namespace

PcapReader::~PcapReader()
{
	if (file_)
		munmap(const_cast<uint8_t *>(file_), size_);
}

int PcapReader::Open(const std::string &path)
{
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return errno;
	if (fstat(fd, &status)) {
		int error = errno;

		close(fd);
		return error;
	}
	if (!S_ISREG(status.st_mode)) {
		close(fd);
		return S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
	}
	size_ = static_cast<size_t>(status.st_size);
	if (size_ > 0) {
		void *memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);

		if (memory == MAP_FAILED) {
			int error = errno;

			close(fd);
			return error;
		}
		file_ = static_cast<const uint8_t *>(memory);
		madvise(memory, size_, MADV_SEQUENTIAL);
	}
	close(fd);
	if (size_ < 4) {
		Damage("too short for a capture file", 0);
		return 0;
	}
	uint32_t magic;

	std::memcpy(&magic, file_, 4);
	if (magic == kSectionBlock) {
		next_generation_ = true;
		return 0;
	}
	uint32_t plain = magic;

	if (plain != kMicroseconds && plain != kNanoseconds && plain != kModified) {
		swapped_ = true;
		plain = Swap32(magic);
	}
	if (plain != kMicroseconds && plain != kNanoseconds && plain != kModified) {
		Damage("neither pcap nor pcapng", 0);
	} else if (size_ < 24) {
		Damage("file header cut off", 0);
	} else {
		nanoseconds_ = plain == kNanoseconds;
		// Kuznetzov's modified format has eight more octets in each packet header.
		interfaces_.push_back({0, 0, 0, plain == kModified ? 8u : 0u});
		link_type_ = U32(20) & 0xffff;
		at_ = 24;
	}
	return 0;
}

bool PcapReader::Damage(const char *what, size_t offset)
{
	damage_ = what;
	damage_offset_ = offset;
	return false;
}

uint16_t PcapReader::U16(size_t offset) const
{
	uint16_t v;

	std::memcpy(&v, file_ + offset, 2);
	return swapped_ ? __builtin_bswap16(v) : v;
}

uint32_t PcapReader::U32(size_t offset) const
{
	uint32_t v;

	std::memcpy(&v, file_ + offset, 4);
	return swapped_ ? Swap32(v) : v;
}

bool PcapReader::Next(CapturedPacket *packet)
{
	if (damaged() || at_ >= size_)
		return false;
	return next_generation_ ? NextBlock(packet) : NextClassic(packet);
}

bool PcapReader::NextClassic(CapturedPacket *packet)
{
	size_t start = at_, header = 16 + interfaces_[0].snap_length;

	if (size_ - at_ < header)
		return Damage("packet header cut off", start);
	uint32_t captured = U32(at_ + 8), original = U32(at_ + 12);

	if (captured > kMaximumCaptured)
		return Damage("impossible packet length", start);
	if (size_ - at_ - header < captured)
		return Damage("packet cut off", start);
	packet->time_ns = static_cast<uint64_t>(U32(at_)) * 1000000000ull +
			  static_cast<uint64_t>(U32(at_ + 4)) * (nanoseconds_ ? 1 : 1000);
	packet->data = file_ + at_ + header;
	packet->captured = captured;
	packet->original = std::max(original, captured);
	packet->link_type = link_type_;
	packet->interface = 0;
	at_ += header + captured;
	return true;
}

bool PcapReader::ReadSection(size_t body, size_t length)
{
	uint32_t magic;

	if (length < 16)
		return Damage("section header cut off", body - 8);
	std::memcpy(&magic, file_ + body, 4);
	if (magic != kByteOrderMagic && Swap32(magic) != kByteOrderMagic)
		return Damage("section header without a byte order", body - 8);
	interfaces_.clear();
	return true;
}

void PcapReader::ReadInterface(size_t body, size_t length)
{
	Interface interface{U16(body), 1000000, 0, U32(body + 4)};
	size_t at = body + 8, end = body + length;

	while (end - at >= 4) {
		uint16_t code = U16(at), bytes = U16(at + 2);

		if (code == kOptionEnd || end - at - 4 < bytes)
			break;
		if (code == kOptionTsResolution && bytes >= 1) {
			uint8_t resolution = file_[at + 4];
			uint64_t units = 1;

			// Bit 7: a power of two, else a power of ten.
			for (int i = 0; i < (resolution & 0x7f) && units < (1ull << 59); i++)
				units *= resolution & 0x80 ? 2 : 10;
			interface.units_per_second = units;
		} else if (code == kOptionTsOffset && bytes >= 8) {
			uint64_t low = U32(at + 4), high = U32(at + 8);

			interface.offset_seconds =
			    static_cast<int64_t>(swapped_ ? low << 32 | high : high << 32 | low);
		}
		at += 4 + (bytes + 3u) / 4 * 4;
		if (at > end)
			break;
	}
	interfaces_.push_back(interface);
}

bool PcapReader::FillPacket(CapturedPacket *packet, size_t data, size_t limit, uint32_t interface,
			    uint64_t timestamp, uint32_t captured, uint32_t original)
{
	if (interface >= interfaces_.size())
		return Damage("packet of an interface that was not described", at_);
	if (captured > kMaximumCaptured || captured > limit)
		return Damage("packet longer than its block", at_);
	const Interface &on = interfaces_[interface];
	uint64_t seconds = timestamp / on.units_per_second, rest = timestamp % on.units_per_second;

	packet->time_ns =
	    static_cast<uint64_t>(static_cast<int64_t>(seconds) + on.offset_seconds) * 1000000000ull +
	    static_cast<uint64_t>(static_cast<unsigned __int128>(rest) * 1000000000u / on.units_per_second);
	packet->data = file_ + data;
	packet->captured = captured;
	packet->original = std::max(original, captured);
	packet->link_type = on.link_type;
	packet->interface = interface;
	return true;
}

bool PcapReader::NextBlock(CapturedPacket *packet)
{
	while (at_ < size_) {
		if (size_ - at_ < 12)
			return Damage("block header cut off", at_);
		uint32_t raw, magic = 0;

		std::memcpy(&raw, file_ + at_, 4);
		if (raw == kSectionBlock) {
			// The section says which byte order its own length is in.
			std::memcpy(&magic, file_ + at_ + 8, 4);
			swapped_ = magic != kByteOrderMagic;
		}
		uint32_t type = U32(at_), length = U32(at_ + 4);
		bool found = false;

		if (length < 12 || length % 4 != 0)
			return Damage("impossible block length", at_);
		if (size_ - at_ < length)
			return Damage("block cut off", at_);
		size_t body = at_ + 8, bytes = length - 12;

		if (type == kSectionBlock) {
			if (!ReadSection(body, bytes))
				return false;
		} else if (type == kInterfaceBlock) {
			if (bytes < 8)
				return Damage("interface block cut off", at_);
			ReadInterface(body, bytes);
		} else if (type == kEnhancedBlock || type == kPacketBlock) {
			if (bytes < 20)
				return Damage("packet block cut off", at_);
			uint32_t interface = type == kEnhancedBlock ? U32(body) : U16(body);
			uint64_t timestamp = static_cast<uint64_t>(U32(body + 4)) << 32 | U32(body + 8);

			if (!FillPacket(packet, body + 20, bytes - 20, interface, timestamp, U32(body + 12),
					U32(body + 16)))
				return false;
			found = true;
		} else if (type == kSimpleBlock) {
			if (bytes < 4)
				return Damage("packet block cut off", at_);
			uint32_t original = U32(body), captured = std::min<uint32_t>(original, bytes - 4);

			if (!interfaces_.empty() && interfaces_[0].snap_length != 0)
				captured = std::min(captured, interfaces_[0].snap_length);
			if (!FillPacket(packet, body + 4, bytes - 4, 0, 0, captured, original))
				return false;
			found = true;
		}
		at_ += length;
		if (found)
			return true;
	}
	return false;
}

} // namespace tidegate
