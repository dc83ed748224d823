// The meter in user space: the same parser and the same flow entries as in the kernel, feeding the same flow
// table.
#ifndef TIDEGATE_USER_METER_H
#define TIDEGATE_USER_METER_H

#include <memory>

#include "applications.h"
#include "flow_table.h"
#include "head_wants.h"
#include "pcap_reader.h"

struct tg_packet;

namespace tidegate
{

class UserMeter
{
      public:
	// Packets that are parsed and looked up together, so that their cache misses overlap.
	static constexpr size_t kBurst = 32;

	UserMeter(const tg_cache_settings &settings, uint32_t idle_ticks, FlowTable &table);
	// Payloads that `wants` asks for go to `applications`, which must outlive this.
	void Use(Applications *applications,
		 const std::vector<std::pair<tg_head_service, tg_head_want>> &wants);
	~UserMeter();

	// Up to kBurst packets as they lay in a capture. Times may go backwards a little. Returns how many
	// were metered: fewer than `count` before a packet whose time lies so far back that it is another
	// era. Then the caller ends every flow (FlushCache and FlowTable::FlushAll) and calls Restart.
	size_t Packets(const CapturedPacket *packets, size_t count);
	void Restart() { now_ns_ = swept_ns_ = 0; }

	// Everything that the cache holds goes to the table.
	void FlushCache();

	ClockBase clock() const { return {now_ns_, 0}; }
	const tg_counters &counters() const { return counters_; }

      private:
	struct Cache;

	void PrefetchEntries(size_t count); // of the burst
	void AdvanceTo(uint64_t time_ns);
	void Meter(size_t i, const CapturedPacket &captured); // packet i of the burst
	uint32_t TakeEntry();
	void SendHead(const tg_packet &packet, tg_delta *entry, const CapturedPacket &captured);
	void Sweep(uint32_t idle_ticks, uint32_t export_ticks);
	void DrainDeltas();

	tg_cache_settings settings_;
	uint32_t idle_ticks_;
	FlowTable &table_;
	Applications *applications_ = nullptr;
	std::unique_ptr<HeadWants> wants_;
	std::unique_ptr<Cache> cache_;
	tg_counters counters_{};
	uint64_t now_ns_ = 0, swept_ns_ = 0;
};

} // namespace tidegate

#endif
