// One flow as the table holds it. Index [0] = lower -> upper of the canonical key, [1] = upper -> lower.
#ifndef TIDEGATE_FLOW_ENTRY_H
#define TIDEGATE_FLOW_ENTRY_H

#include <cstring>

#include "flow_table.h"
extern "C" {
#include "flow_key.h"
}

namespace tidegate
{

// The table's own hash need not be secret for correctness; a fixed odd mix after the key's words is enough
// because floods are bounded by max_flows, and the probe length by a load factor of one half.
constexpr tg_u32 kTableSecret[TG_SECRET_WORDS] = {0x9e3779b9, 0x7f4a7c15, 0xf39cc060, 0x5cedc834, 0x1082276b,
						  0xf3a27251, 0xf86c6a11, 0xd0c18e95, 0x2767f0b1, 0x53d2722f,
						  0x9d7a4c3b, 0xb5026f5b, 0xaa9d5d99};

constexpr int kSynBit = 1; // in flag_counts

inline uint32_t TagOf(uint64_t hash)
{
	return static_cast<uint32_t>(hash >> 32);
}

struct alignas(64) FlowTable::Entry {
	tg_flow_key key;
	uint64_t hash;
	uint64_t flow_id;
	uint64_t first_ns[2], last_ns[2]; // this record's first, the flow's last, source clock; 0 = none
	uint64_t record_start_ns;
	uint64_t packets[2], octets[2];
	uint32_t size_bins[2][TG_SIZE_BINS], iat_bins[2][TG_IAT_BINS], flag_counts[2][TG_FLAG_COUNTS];
	uint32_t ingress_ifindex[2];
	uint32_t rtt_tick;
	uint32_t sampling;		  // the largest interval of this record's parts; 1 = all packets
	uint32_t wheel_next, wheel_epoch; // in the wheel while the epoch is the table's
	int16_t first_payload[TG_FIRST_PAYLOADS];
	uint16_t window_min[2], window_max[2], mss[2];
	uint8_t ttl_min[2], ttl_max[2], window_scale[2], tos[2];
	uint8_t head[2][TG_HEAD_BYTES];
	uint8_t payload_count;
	uint8_t syn;	       // bit d: a SYN without ACK came from side d
	uint8_t fin;	       // bit d: a FIN came from side d
	uint8_t kernel_counts; // bit d: the source counts the next gap of direction d itself
	uint8_t first_side;    // who sent the first packet of the flow
	int8_t source;	       // which side is the source: -1 undecided
	uint8_t biflow;	       // biflowDirection of that decision
	bool reset, aggregate, used;

	// Makes a zeroed entry a flow that has no packet yet.
	void StartFlow()
	{
		source = -1;
		used = true;
		StartRecord(0);
	}

	// Forgets the flow but its key and its place in the table: what comes next with this key is another
	// flow.
	void StartAnotherFlow()
	{
		flow_id = 0;
		rtt_tick = 0;
		last_ns[0] = last_ns[1] = 0;
		mss[0] = mss[1] = 0;
		window_scale[0] = window_scale[1] = 0;
		std::memset(first_payload, 0, sizeof(first_payload));
		std::memset(head, 0, sizeof(head));
		payload_count = syn = fin = kernel_counts = biflow = 0;
		reset = false;
		StartFlow();
	}

	void StartRecord(uint64_t now_ns)
	{
		record_start_ns = now_ns;
		sampling = 1;
		for (int d = 0; d < 2; d++) {
			packets[d] = octets[d] = first_ns[d] = 0;
			ttl_min[d] = 0xff;
			ttl_max[d] = 0;
			window_min[d] = 0xffff;
			window_max[d] = 0;
		}
		std::memset(size_bins, 0, sizeof(size_bins));
		std::memset(iat_bins, 0, sizeof(iat_bins));
		std::memset(flag_counts, 0, sizeof(flag_counts));
	}

	uint64_t Last() const { return last_ns[0] > last_ns[1] ? last_ns[0] : last_ns[1]; }
	bool Ended() const { return reset || fin == 3; }
	bool Empty() const { return (packets[0] | packets[1]) == 0; }
};

inline FlowTable::Entry &FlowTable::At(uint32_t index) const
{
	return chunks_[index / kChunk][index % kChunk];
}

inline uint32_t FlowTable::Find(const tg_flow_key &key, uint64_t hash) const
{
	return index_.Find(TagOf(hash), [&](uint32_t at) { return tg_key_equal(&At(at).key, &key); });
}

} // namespace tidegate

#endif
