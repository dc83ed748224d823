// Packets out of pcap (libpcap's savefile format, microseconds or nanoseconds, either byte order) and pcapng
// (draft-ietf-opsawg-pcapng: section, interface, enhanced, simple and obsolete packet blocks) files.
#ifndef TIDEGATE_PCAP_READER_H
#define TIDEGATE_PCAP_READER_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "byte_window.h"

namespace tidegate
{

struct CapturedPacket {
	const uint8_t *data;
	uint32_t captured;  // octets in the file
	uint32_t original;  // octets on the wire
	uint64_t time_ns;   // Unix time, at most INT64_MAX
	uint32_t link_type; // LINKTYPE_* of tcpdump.org
	uint32_t interface; // pcapng interface number, 0 for pcap
};

class PcapReader
{
      public:
	// Returns 0 or an errno; a file of another format is damage at offset 0.
	int Open(const std::string &path);

	// Up to `room` packets whose octets stay valid until the next call. 0 at the end of the file or at
	// the damage.
	size_t Burst(CapturedPacket *packets, size_t room);

	bool damaged() const { return !damage_.empty(); }
	const std::string &damage() const { return damage_; }
	uint64_t damage_offset() const { return damage_offset_; }

      private:
	struct Interface {
		uint32_t link_type;
		uint64_t units_per_second;
		int64_t offset_seconds;
		uint32_t snap_length;
	};
	enum class Step { Packet, Other, Stop };

	static constexpr uint32_t kSectionBlock = 0x0a0d0d0a; // how a pcapng file begins
	static constexpr uint64_t kSecond = 1000000000ull;
	// Four times libpcap's MAXIMUM_SNAPLEN: a length beyond is damage, not data.
	static constexpr uint32_t kMaximumCaptured = 1 << 20;

	static uint32_t WireLength(uint32_t original, uint32_t captured);
	static uint64_t Nanoseconds(int64_t seconds, uint64_t rest);
	Step Damage(const char *what);
	// What a step does that finds fewer octets than it needs: nothing when only a refill is missing.
	Step Short(const char *what);
	bool Need(size_t octets);
	Step NextClassic(CapturedPacket *packet);
	Step NextBlock(CapturedPacket *packet);
	Step SkipBlock(uint32_t length);
	Step ReadPacket(CapturedPacket *packet, uint32_t type, uint32_t length);
	Step FillPacket(CapturedPacket *packet, const uint8_t *data, size_t limit, uint32_t interface,
			uint64_t timestamp, uint32_t captured, uint32_t original);
	void ReadInterface(const uint8_t *body, size_t length);
	uint16_t U16(const uint8_t *p) const;
	uint32_t U32(const uint8_t *p) const;

	ByteWindow window_;
	bool may_refill_ = false, ended_ = false;
	bool swapped_ = false, next_generation_ = false;
	uint32_t link_type_ = 0, fraction_ns_ = 1000;
	size_t packet_header_ = 16;
	uint64_t last_time_ns_ = 0;
	std::vector<Interface> interfaces_;
	std::string damage_;
	uint64_t damage_offset_ = 0;
};

} // namespace tidegate

#endif
