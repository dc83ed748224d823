// The meter in user space: the same parser and flow cache as in the kernel, feeding the same flow table.
#ifndef TIDEGATE_USER_METER_H
#define TIDEGATE_USER_METER_H

#include <memory>
#include <unordered_map>
#include <vector>

#include "flow_table.h"

namespace tidegate
{

class UserMeter
{
      public:
	UserMeter(const tg_cache_settings &settings, uint32_t idle_ticks, FlowTable &table);
	~UserMeter();

	// One packet as it lay in a capture: `link_type` is a LINKTYPE_* number. Times may go backwards.
	void Packet(const uint8_t *data, uint32_t captured, uint32_t original, uint64_t time_ns,
		    uint32_t link_type, uint32_t interface);

	// Everything that the cache holds goes to the table.
	void FlushCache();

	ClockBase clock() const { return {now_ns_, 0}; }
	const tg_counters &counters() const { return counters_; }

      private:
	struct Cache;

	void AdvanceTo(uint64_t time_ns);
	void DrainDeltas();

	tg_cache_settings settings_;
	uint32_t idle_ticks_;
	FlowTable &table_;
	std::unique_ptr<Cache> cache_;
	tg_counters counters_{};
	uint64_t now_ns_ = 0, swept_ns_ = 0;
};

} // namespace tidegate

#endif
