// Reads delta records and cache entries of another layout as struct tg_delta.
#ifndef TIDEGATE_DELTA_DECODER_H
#define TIDEGATE_DELTA_DECODER_H

#include <cstdint>
#include <string>
#include <vector>

#include "btf_fields.h"
extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

class DeltaDecoder
{
      public:
	// Fields are found by their names. False when this layout cannot be read: one that says what was
	// counted for whom is missing or wider than ours. What else is, is as if it had never been seen.
	bool Learn(const BtfFields &types, const std::string &name);

	uint32_t bytes() const { return bytes_; }
	tg_delta Decode(const uint8_t *from) const;
	// Makes an entry a free one.
	void Free(uint8_t *entry) const;

      private:
	struct Copy {
		uint32_t from, from_element, into, into_element, count;
	};
	uint32_t bytes_ = 0;
	std::vector<Copy> copies_;
};

} // namespace tidegate

#endif
