// Packets out of pcap (libpcap's savefile format, microseconds or nanoseconds, either byte order) and pcapng
// (draft-ietf-opsawg-pcapng: section, interface, enhanced, simple and obsolete packet blocks) files.
#ifndef TIDEGATE_PCAP_READER_H
#define TIDEGATE_PCAP_READER_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tidegate
{

struct CapturedPacket {
	const uint8_t *data;
	uint32_t captured;  // octets in the file
	uint32_t original;  // octets on the wire
	uint64_t time_ns;   // Unix time
	uint32_t link_type; // LINKTYPE_* of tcpdump.org
	uint32_t interface; // pcapng interface number, 0 for pcap
};

class PcapReader
{
      public:
	PcapReader() = default;
	~PcapReader();
	PcapReader(const PcapReader &) = delete;
	PcapReader &operator=(const PcapReader &) = delete;

	// Maps the file. Returns 0 or an errno; a file of another format is reported by Next() as damage at
	// offset 0.
	int Open(const std::string &path);

	// The next packet. False at the end of the file or at the damage.
	bool Next(CapturedPacket *packet);

	bool damaged() const { return !damage_.empty(); }
	const std::string &damage() const { return damage_; }
	size_t damage_offset() const { return damage_offset_; }

      private:
	struct Interface {
		uint32_t link_type;
		uint64_t units_per_second;
		int64_t offset_seconds;
		uint32_t snap_length;
	};

	bool Damage(const char *what, size_t offset);
	bool NextClassic(CapturedPacket *packet);
	bool NextBlock(CapturedPacket *packet);
	bool ReadSection(size_t body, size_t length);
	void ReadInterface(size_t body, size_t length);
	bool FillPacket(CapturedPacket *packet, size_t data, size_t limit, uint32_t interface,
			uint64_t timestamp, uint32_t captured, uint32_t original);
	uint16_t U16(size_t offset) const;
	uint32_t U32(size_t offset) const;

	const uint8_t *file_ = nullptr;
	size_t size_ = 0, at_ = 0;
	bool swapped_ = false, next_generation_ = false, nanoseconds_ = false;
	uint32_t link_type_ = 0;
	std::vector<Interface> interfaces_;
	std::string damage_;
	size_t damage_offset_ = 0;
};

} // namespace tidegate

#endif
