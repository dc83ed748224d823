// Small things that the parts of Steering share.
#ifndef TIDEGATE_STEERING_RULES_H
#define TIDEGATE_STEERING_RULES_H

#include <cstdint>
#include <cstring>

extern "C" {
#include "steer_abi.h"
}

namespace tidegate
{

inline void StoreBucket(tg_u8 *bucket, uint8_t value)
{
	__atomic_store_n(bucket, value, __ATOMIC_RELEASE);
}

inline bool IsIPv4(const uint8_t *address)
{
	static const uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return std::memcmp(address, kMapped, sizeof(kMapped)) == 0;
}

inline bool InPrefix(const uint8_t *address, const uint8_t *prefix, uint32_t length)
{
	if (std::memcmp(address, prefix, length / 8) != 0)
		return false;
	return length % 8 == 0 || ((address[length / 8] ^ prefix[length / 8]) >> (8 - length % 8)) == 0;
}

} // namespace tidegate

#endif
