// How the meters without a flow table hand over records and heads.
#ifndef TIDEGATE_METER_RECORDS_H
#define TIDEGATE_METER_RECORDS_H

#include <cstdint>
#include <napi.h>
#include <vector>

extern "C" {
#include "flow_abi.h"
}

namespace tidegate
{

inline Napi::Value RecordsToBuffer(Napi::Env env, std::vector<tg_delta> *records)
{
	Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(
	    env, reinterpret_cast<const uint8_t *>(records->data()), records->size() * sizeof(tg_delta));

	records->clear();
	return buffer;
}

// Heads one after the other, each followed by its octets.
inline void AppendHead(std::vector<uint8_t> *heads, const tg_head &head, const uint8_t *payload)
{
	const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&head);

	heads->insert(heads->end(), bytes, bytes + sizeof(head));
	heads->insert(heads->end(), payload, payload + head.octets);
}

inline Napi::Value TakeHeads(Napi::Env env, std::vector<uint8_t> *heads)
{
	Napi::Value buffer = Napi::Buffer<uint8_t>::Copy(env, heads->data(), heads->size());

	heads->clear();
	return buffer;
}

} // namespace tidegate

#endif
