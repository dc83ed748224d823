#include "user_meter.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include "flow_abi.h"

struct tg_cache {
	struct tg_delta *entries;
	struct tg_delta *out;
	size_t count;
	struct tg_counters *counters;
};

static inline struct tg_delta *tg_cache_entry(struct tg_cache *cache, tg_u32 index)
{
	return &cache->entries[index];
}

static inline void tg_cache_export(struct tg_cache *cache, struct tg_delta *entry, tg_u8 reason)
{
	struct tg_delta *record = &cache->out[cache->count++];

	*record = *entry;
	record->tag = (tg_u32)cache->counters->exported_records++;
	record->reason = reason;
	cache->counters->exported_packets += (tg_u64)entry->packets[0] + entry->packets[1];
	cache->counters->exported_octets += (tg_u64)entry->octets[0] + entry->octets[1];
}

#include "flow_cache.h"
}

namespace tidegate
{

namespace
{
constexpr size_t kDeltaBatch = 512;
// A packet exports at most twice: the victim's eviction, or the entry's own part.
constexpr size_t kDeltaRoom = kDeltaBatch + 2;
constexpr uint64_t kSecond = 1000000000ull;
// Ticks wrap after 73 minutes; any jump of this size empties the cache first, so no gap is ever ambiguous.
constexpr uint64_t kJumpNs = 600 * kSecond;

enum LinkType : uint32_t {
	kNull = 0,
	kEthernet = 1,
	kPpp = 9,
	kRawOpenBsd = 12,
	kRawOther = 14,
	kPppHdlc = 50,
	kRaw = 101,
	kLoop = 108,
	kLinuxSll = 113,
	kIpv4 = 228,
	kIpv6 = 229,
	kLinuxSll2 = 276,
};

uint16_t VersionType(uint8_t first)
{
	return first >> 4 == 4 ? TG_ETHERTYPE_IPV4 : first >> 4 == 6 ? TG_ETHERTYPE_IPV6 : 0;
}

// Parses a frame of any supported link type; Ethernet frames take the kernel's own entry point.
void ParseFrame(const tg_frame &frame, uint32_t link_type, tg_packet *packet)
{
	const uint8_t *p = frame.data;
	uint32_t readable = static_cast<uint32_t>(frame.data_end - frame.data), offset = 0;
	uint16_t ethertype = 0;

	if (link_type == kEthernet)
		return tg_parse(nullptr, &frame, packet);
	std::memset(packet, 0, sizeof(*packet));
	switch (link_type) {
	case kRawOpenBsd:
	case kRawOther:
	case kRaw:
	case kIpv4:
	case kIpv6:
		ethertype = readable ? VersionType(p[0]) : 0;
		break;
	case kNull:
	case kLoop:
		// A four-octet address family, in the byte order of the machine that captured; the version
		// tells.
		offset = 4;
		ethertype = readable > 4 ? VersionType(p[4]) : 0;
		break;
	case kPpp:
	case kPppHdlc:
		offset = readable > 1 && p[0] == 0xff && p[1] == 0x03 ? 4 : 2;
		if (readable >= offset) {
			uint16_t protocol = tg_load16(p + offset - 2);

			ethertype = protocol == 0x0021	 ? TG_ETHERTYPE_IPV4
				    : protocol == 0x0057 ? TG_ETHERTYPE_IPV6
							 : protocol;
		}
		break;
	case kLinuxSll:
		offset = 16;
		ethertype = readable >= 16 ? tg_load16(p + 14) : 0;
		break;
	case kLinuxSll2:
		offset = 20;
		ethertype = readable >= 20 ? tg_load16(p) : 0;
		break;
	default:
		return tg_unparsed(packet, &frame, TG_UNPARSED_LINK_TYPE, 0);
	}
	if (readable < offset || readable == 0)
		return tg_unparsed(packet, &frame, TG_UNPARSED_SHORT_ETHERNET, 0);
	if (ethertype == TG_ETHERTYPE_VLAN && readable >= offset + 4) {
		packet->key.vlan = tg_load16(p + offset) & 0x0fff;
		ethertype = tg_load16(p + offset + 2);
		offset += 4;
	}
	if (ethertype == TG_ETHERTYPE_IPV4 || ethertype == TG_ETHERTYPE_IPV6)
		return tg_parse_network(nullptr, &frame, packet, ethertype, offset);
	packet->key.kind = TG_KIND_NON_IP;
	packet->key.lower_port = ethertype;
	packet->octets = frame.wire_octets;
}

struct FragmentKey {
	uint8_t bytes[40];
	bool operator==(const FragmentKey &other) const
	{
		return !std::memcmp(bytes, other.bytes, sizeof(bytes));
	}
};

struct FragmentHash {
	size_t operator()(const FragmentKey &key) const
	{
		uint64_t h = 0, w[5];

		std::memcpy(w, key.bytes, sizeof(w));
		for (uint64_t word : w)
			h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		return h ^ h >> 32;
	}
};
} // namespace

struct UserMeter::Cache {
	std::vector<tg_delta> entries;
	tg_delta out[kDeltaRoom];
	tg_cache cache{};
	std::unordered_map<FragmentKey, uint32_t, FragmentHash> fragments;
};

UserMeter::UserMeter(const tg_cache_settings &settings, uint32_t idle_ticks, FlowTable &table)
    : settings_(settings), idle_ticks_(idle_ticks), table_(table), cache_(std::make_unique<Cache>())
{
	cache_->entries.resize(settings.mask + 1);
	cache_->cache = {cache_->entries.data(), cache_->out, 0, &counters_};
}

UserMeter::~UserMeter() = default;

void UserMeter::DrainDeltas()
{
	if (cache_->cache.count == 0)
		return;
	table_.Merge(cache_->out, cache_->cache.count, clock());
	cache_->cache.count = 0;
}

void UserMeter::FlushCache()
{
	for (uint32_t i = 0; i <= settings_.mask; i++) {
		tg_sweep(&cache_->cache, i, static_cast<uint32_t>(now_ns_ >> TG_TICK_SHIFT), 0, 0,
			 &counters_);
		if (cache_->cache.count >= kDeltaBatch)
			DrainDeltas();
	}
	DrainDeltas();
}

void UserMeter::AdvanceTo(uint64_t time_ns)
{
	uint64_t back = now_ns_ > time_ns ? now_ns_ - time_ns : 0;

	if (now_ns_ == 0) {
		now_ns_ = swept_ns_ = time_ns;
		return;
	}
	if (back > kJumpNs || time_ns > now_ns_ + kJumpNs) {
		FlushCache();
		now_ns_ = swept_ns_ = time_ns;
		table_.Advance(clock());
		return;
	}
	// A little out of order: the meter's clock stands still rather than running backwards.
	now_ns_ = std::max(now_ns_, time_ns);
	if (now_ns_ - swept_ns_ < static_cast<uint64_t>(idle_ticks_) << (TG_TICK_SHIFT - 1))
		return;
	swept_ns_ = now_ns_;
	for (uint32_t i = 0; i <= settings_.mask; i++) {
		tg_sweep(&cache_->cache, i, static_cast<uint32_t>(now_ns_ >> TG_TICK_SHIFT), idle_ticks_,
			 settings_.export_ticks, &counters_);
		if (cache_->cache.count >= kDeltaBatch)
			DrainDeltas();
	}
	DrainDeltas();
	table_.Advance(clock());
}

void UserMeter::Packet(const uint8_t *data, uint32_t captured, uint32_t original, uint64_t time_ns,
		       uint32_t link_type, uint32_t interface)
{
	tg_frame frame = {data, data + captured, original};
	tg_packet packet;

	AdvanceTo(time_ns);
	ParseFrame(frame, link_type, &packet);
	if (packet.fragment) {
		FragmentKey key{};

		std::memcpy(key.bytes, packet.key.lower_address, 16);
		std::memcpy(key.bytes + 16, packet.key.upper_address, 16);
		std::memcpy(key.bytes + 32, &packet.fragment_id, 4);
		key.bytes[36] = packet.key.protocol;
		if (packet.fragment == TG_FRAGMENT_FIRST) {
			// Bounded like the kernel's table; which one is forgotten matters little.
			if (cache_->fragments.size() >= 4096)
				cache_->fragments.erase(cache_->fragments.begin());
			cache_->fragments[key] =
			    static_cast<uint32_t>(packet.key.lower_port) << 16 | packet.key.upper_port;
		} else if (auto ports = cache_->fragments.find(key); ports != cache_->fragments.end()) {
			packet.key.lower_port = static_cast<uint16_t>(ports->second >> 16);
			packet.key.upper_port = static_cast<uint16_t>(ports->second);
		} else {
			packet.key.kind = TG_KIND_FRAGMENT;
		}
	}
	tg_count_packet(&counters_, &packet);
	tg_cache_update(&cache_->cache, &packet, static_cast<uint32_t>(now_ns_ >> TG_TICK_SHIFT), interface,
			&settings_, &counters_);
	if (cache_->cache.count >= kDeltaBatch)
		DrainDeltas();
}

} // namespace tidegate
