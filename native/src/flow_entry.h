// One flow as the table holds it. Index [0] = lower -> upper of the canonical key, [1] = upper -> lower.
#ifndef TIDEGATE_FLOW_ENTRY_H
#define TIDEGATE_FLOW_ENTRY_H

#include <cstddef>
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

// What a merge touches comes first, a cache line for each comment; memory traffic is what a merge costs.
struct alignas(64) FlowTable::Entry {
	// 0: identity
	tg_flow_key key;
	uint64_t hash;
	uint64_t flow_id;
	// 1
	uint64_t first_ns[2], last_ns[2]; // this record's first, the flow's last, source clock; 0 = none
	uint64_t record_start_ns;
	uint64_t packets[2];
	uint32_t wheel_epoch; // in the wheel while the epoch is the table's
	uint32_t unused;
	// 2
	uint64_t octets[2];
	uint32_t ingress_ifindex[2];
	uint32_t rtt_tick;
	uint32_t sampling; // the largest interval of this record's parts; 1 = all packets
	uint16_t window_min[2], window_max[2], mss[2];
	uint8_t ttl_min[2], ttl_max[2], window_scale[2], tos[2];
	uint8_t payload_count;
	uint8_t syn;	       // bit d: a SYN without ACK came from side d
	uint8_t fin;	       // bit d: a FIN came from side d
	uint8_t kernel_counts; // bit d: the source counts the next gap of direction d itself
	uint8_t first_side;    // who sent the first packet of the flow
	int8_t source;	       // which side is the source: -1 undecided
	uint8_t biflow;	       // biflowDirection of that decision
	uint8_t heads;	       // bit d: head[d] is there
	bool reset, aggregate, used;
	bool carried; // `high` counts too; else it is anything
	// 3 to 5
	struct Bins {
		uint16_t size[2][TG_SIZE_BINS], iat[2][TG_IAT_BINS], flags[2][TG_FLAG_COUNTS];
	} low;
	int16_t first_payload[TG_FIRST_PAYLOADS];
	uint8_t reserved[16];
	// Rarely touched: payload heads, and the upper halves of bins of flows with more than 65535 packets.
	uint8_t head[2][TG_HEAD_BYTES];
	Bins high;

	static constexpr size_t kHotBytes = 384;
	// What a change may overwrite: without heads or carries nothing behind the hot lines means anything.
	size_t ChangingBytes() const { return carried || heads ? sizeof(Entry) : kHotBytes; }

	// Asks for the hot lines but the first.
	void PrefetchRest() const
	{
		const uint8_t *line = reinterpret_cast<const uint8_t *>(this);

		for (size_t at = alignof(Entry); at < kHotBytes; at += alignof(Entry))
			__builtin_prefetch(line + at, 1);
	}

	// Makes an entry the flow that has this key, without a packet yet.
	void Begin(const tg_flow_key &of, uint64_t its_hash)
	{
		// Memory that was never used is zero already, and writing it twice costs a cache line each.
		if (hash != 0)
			std::memset(static_cast<void *>(this), 0, kHotBytes);
		key = of;
		hash = its_hash;
		StartFlow();
	}

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
		payload_count = syn = fin = kernel_counts = biflow = heads = 0;
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
		std::memset(&low, 0, sizeof(low));
		carried = false;
	}

	// Adds a part's counts of one direction. No bin counts more than the direction has packets.
	void AddBins(const tg_delta &delta, int d)
	{
		if (packets[d] + delta.packets[d] > 0xffff) {
			if (!carried)
				std::memset(&high, 0, sizeof(high));
			carried = true;
			AddWide(low.size[d], high.size[d], delta.size_bins[d], TG_SIZE_BINS);
			AddWide(low.iat[d], high.iat[d], delta.iat_bins[d], TG_IAT_BINS);
			AddWide(low.flags[d], high.flags[d], delta.flag_counts[d], TG_FLAG_COUNTS);
			return;
		}
		for (int i = 0; i < TG_SIZE_BINS; i++)
			low.size[d][i] = static_cast<uint16_t>(low.size[d][i] + delta.size_bins[d][i]);
		for (int i = 0; i < TG_IAT_BINS; i++)
			low.iat[d][i] = static_cast<uint16_t>(low.iat[d][i] + delta.iat_bins[d][i]);
		for (int i = 0; i < TG_FLAG_COUNTS; i++)
			low.flags[d][i] = static_cast<uint16_t>(low.flags[d][i] + delta.flag_counts[d][i]);
	}

	// Counts one gap more, after the packets that it belongs to.
	void AddGap(int d, int bin)
	{
		if (++low.iat[d][bin] == 0)
			high.iat[d][bin]++;
	}

	// Writes `count` bins as whole numbers; `halves` and `uppers` are the same field of `low` and `high`.
	void ReadBins(const uint16_t *halves, const uint16_t *uppers, uint32_t *into, int count) const
	{
		for (int i = 0; i < count; i++)
			into[i] = halves[i];
		for (int i = 0; carried && i < count; i++)
			into[i] += static_cast<uint32_t>(uppers[i]) << 16;
	}

	bool Counted(int d, int flag) const
	{
		return low.flags[d][flag] != 0 || (carried && high.flags[d][flag] != 0);
	}

	uint64_t Last() const { return last_ns[0] > last_ns[1] ? last_ns[0] : last_ns[1]; }
	bool Ended() const { return reset || fin == 3; }
	bool Empty() const { return (packets[0] | packets[1]) == 0; }

      private:
	static void AddWide(uint16_t *halves, uint16_t *uppers, const tg_u8 *more, int count)
	{
		for (int i = 0; i < count; i++) {
			uint32_t sum = halves[i] + static_cast<uint32_t>(more[i]);

			halves[i] = static_cast<uint16_t>(sum);
			uppers[i] = static_cast<uint16_t>(uppers[i] + (sum >> 16));
		}
	}
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
