#include "delta_decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace tidegate
{

namespace
{
struct Known {
	const char *path;
	uint32_t offset, element, count;
	bool required;
};

template <typename T> constexpr uint32_t ElementBytes()
{
	return sizeof(std::remove_all_extents_t<T>);
}

#define TG_KNOWN(member, required)                                                                           \
	{#member, offsetof(tg_delta, member), ElementBytes<decltype(std::declval<tg_delta>().member)>(),     \
	 sizeof(std::declval<tg_delta>().member) /                                                           \
	     ElementBytes<decltype(std::declval<tg_delta>().member)>(),                                      \
	 required}

constexpr Known kFields[] = {
    TG_KNOWN(tag, true),
    TG_KNOWN(last_tick, true),
    TG_KNOWN(packets, true),
    TG_KNOWN(octets, true),
    TG_KNOWN(state, true),
    TG_KNOWN(payload_count, false),
    TG_KNOWN(seen, true),
    TG_KNOWN(link, false),
    TG_KNOWN(rule, false),
    TG_KNOWN(reason, false),
    TG_KNOWN(cpu, false),
    TG_KNOWN(size_bins, false),
    TG_KNOWN(iat_bins, false),
    TG_KNOWN(flag_counts, false),
    TG_KNOWN(first_payload, false),
    TG_KNOWN(key.lower_address, true),
    TG_KNOWN(key.upper_address, true),
    TG_KNOWN(key.lower_port, true),
    TG_KNOWN(key.upper_port, true),
    TG_KNOWN(key.protocol, true),
    TG_KNOWN(key.kind, true),
    TG_KNOWN(key.vlan, false),
    TG_KNOWN(key.tunnel_id, false),
    TG_KNOWN(key.inner_vlan, false),
    TG_KNOWN(key.tunnel_kind, false),
    TG_KNOWN(ttl_min, false),
    TG_KNOWN(ttl_max, false),
    TG_KNOWN(window_min, false),
    TG_KNOWN(window_max, false),
    TG_KNOWN(rtt_tick, false),
    TG_KNOWN(first_tick, true),
    TG_KNOWN(ingress_ifindex, false),
    TG_KNOWN(mss, false),
    TG_KNOWN(window_scale, false),
    TG_KNOWN(tos, false),
    TG_KNOWN(entry_tick, false),
    TG_KNOWN(head, false),
};
} // namespace

bool DeltaDecoder::Learn(const BtfFields &types, const std::string &name)
{
	copies_.clear();
	bytes_ = types.Size(name);
	for (const Known &known : kFields) {
		BtfField theirs;

		bool there = types.Find(name, known.path, &theirs) && theirs.count == known.count &&
			     theirs.element <= known.element;

		if (!there && known.required)
			return false;
		if (there)
			copies_.push_back(
			    {theirs.offset, theirs.element, known.offset, known.element, known.count});
	}
	return bytes_ != 0;
}

tg_delta DeltaDecoder::Decode(const uint8_t *from) const
{
	tg_delta delta{};
	uint8_t *into = reinterpret_cast<uint8_t *>(&delta);

	// What a layout without these would have said.
	for (int d = 0; d < 2; d++) {
		delta.ttl_min[d] = 0xff;
		delta.window_min[d] = 0xffff;
	}
	// Numbers are little-endian on every machine that parse.h is for, and only payload lengths have a
	// sign; they were 16 bits wide from the beginning.
	for (const Copy &copy : copies_) {
		for (uint32_t i = 0; i < copy.count; i++) {
			uint8_t *element = into + copy.into + i * copy.into_element;

			std::memset(element, 0, copy.into_element);
			std::memcpy(element, from + copy.from + i * copy.from_element, copy.from_element);
		}
	}
	return delta;
}

void DeltaDecoder::Free(uint8_t *entry) const
{
	const Copy &tag = copies_.front();

	std::memset(entry + tag.from, 0, tag.from_element);
}

} // namespace tidegate
