// Which payloads are wanted, by service: what the map `head_wants` is in the kernel.
#ifndef TIDEGATE_HEAD_WANTS_H
#define TIDEGATE_HEAD_WANTS_H

#include <unordered_map>
#include <utility>
#include <vector>

extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

class HeadWants
{
      public:
	explicit HeadWants(const std::vector<std::pair<tg_head_service, tg_head_want>> &wants)
	{
		for (const auto &[service, want] : wants)
			wants_[Key(service)] = want;
	}

	// Null when nobody wants anything of the service.
	const tg_head_want *Of(const tg_head_service &service) const
	{
		auto at = wants_.find(Key(service));

		return at == wants_.end() ? nullptr : &at->second;
	}

      private:
	static uint32_t Key(const tg_head_service &service)
	{
		return static_cast<uint32_t>(service.protocol) << 16 | service.port;
	}

	std::unordered_map<uint32_t, tg_head_want> wants_;
};

} // namespace tidegate

#endif
