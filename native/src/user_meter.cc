#include "user_meter.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "link_layer.h"
#include "pages.h"
#include "tag_index.h"

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
	record->cpu = 0;
	record->entry_tick = 1;
	cache->counters->exported_packets += (tg_u64)entry->packets[0] + entry->packets[1];
	cache->counters->exported_octets += (tg_u64)entry->octets[0] + entry->octets[1];
}

#include "flow_cache.h"
#include "fragments.h"
#include "heads.h"
}

namespace tidegate
{

namespace
{
constexpr size_t kDeltaBatch = 256;
// A packet exports at most twice: the victim's eviction, or the entry's own part.
constexpr size_t kDeltaRoom = kDeltaBatch + 2;
constexpr uint64_t kSecond = 1000000000ull;
// Ticks wrap after 73 minutes; any jump of this size empties the cache first, so no gap is ever ambiguous.
constexpr uint64_t kJumpNs = 600 * kSecond;
constexpr size_t kLine = 64;

// The hash word that finds an entry; never 0, which marks a free one.
uint32_t TagOf(const tg_flow_key &key, const tg_cache_settings &settings)
{
	return static_cast<uint32_t>(tg_hash(&key, settings.secret) >> 32) | 1;
}
} // namespace

// The kernel's cache is set-associative because a BPF program can afford neither memory nor probing; here any
// entry can hold any flow, found through an index that fits the L2 cache, and the longest resident one leaves
// when all are taken. What happens inside an entry is the kernel's code.
struct UserMeter::Cache {
	explicit Cache(uint32_t count)
	    : entries(count), out(kDeltaRoom), index(std::bit_ceil(static_cast<size_t>(count) * 2)),
	      fragments(TG_FRAGMENT_SLOTS)
	{
		cache.entries = entries.data();
		cache.out = out.data();
	}

	Pages<tg_delta> entries, out;
	tg_cache cache{};
	TagIndex index;
	std::vector<uint32_t> free; // entries that were used and left
	uint32_t used = 0;	    // entries from this one on were never used
	uint32_t hand = 0;	    // the next to leave when all are taken
	Pages<tg_fragment_slot> fragments;
	tg_packet packets[kBurst];
	uint32_t tags[kBurst];
	uint32_t guesses[kBurst]; // the entry that a tag led to before the burst changed any
};

UserMeter::UserMeter(const tg_cache_settings &settings, uint32_t idle_ticks, FlowTable &table)
    : settings_(settings), idle_ticks_(idle_ticks), table_(table),
      cache_(std::make_unique<Cache>(settings.mask + 1))
{
	cache_->cache.counters = &counters_;
}

UserMeter::~UserMeter() = default;

void UserMeter::DrainDeltas()
{
	if (cache_->cache.count == 0)
		return;
	table_.Merge({.first = cache_->cache.out, .count = cache_->cache.count}, clock());
	cache_->cache.count = 0;
}

void UserMeter::Sweep(uint32_t idle_ticks, uint32_t export_ticks)
{
	Cache &c = *cache_;
	uint32_t now = static_cast<uint32_t>(now_ns_ >> TG_TICK_SHIFT);

	for (uint32_t number = 0; number < c.used; number++) {
		uint32_t tag = c.entries[number].tag;

		if (tag == 0)
			continue;
		tg_sweep(&c.cache, number, now, idle_ticks, export_ticks, &counters_);
		if (c.entries[number].tag == 0) {
			c.index.Remove(tag, number);
			c.free.push_back(number);
		}
		if (c.cache.count >= kDeltaBatch)
			DrainDeltas();
	}
	DrainDeltas();
	// Starting over keeps the sweeps of a quiet time short after a busy one.
	if (c.free.size() == c.used) {
		c.free.clear();
		c.used = 0;
	}
}

void UserMeter::FlushCache()
{
	DrainDeltas();
	Sweep(0, 0);
}

uint32_t UserMeter::TakeEntry()
{
	Cache &c = *cache_;

	if (!c.free.empty()) {
		uint32_t number = c.free.back();

		c.free.pop_back();
		return number;
	}
	if (c.used <= settings_.mask)
		return c.used++;
	uint32_t number = c.hand++ & settings_.mask;

	counters_.evictions++;
	c.index.Remove(c.entries[number].tag, number);
	tg_release(&c.cache, &c.entries[number], TG_REASON_EVICT);
	return number;
}

void UserMeter::AdvanceTo(uint64_t time_ns)
{
	if (now_ns_ == 0)
		now_ns_ = swept_ns_ = time_ns;
	// A little out of order: the meter's clock stands still rather than running backwards.
	if (time_ns <= now_ns_)
		return;
	if (time_ns - now_ns_ > kJumpNs) {
		FlushCache();
		now_ns_ = swept_ns_ = time_ns;
		table_.Advance(clock());
		return;
	}
	now_ns_ = time_ns;
	if (now_ns_ - swept_ns_ < static_cast<uint64_t>(idle_ticks_) << (TG_TICK_SHIFT - 1))
		return;
	swept_ns_ = now_ns_;
	DrainDeltas();
	Sweep(idle_ticks_, settings_.export_ticks);
	table_.Advance(clock());
}

// Loops that do nothing else, so that address translations overlap; see kGroup in flow_merge.cc.
void UserMeter::PrefetchEntries(size_t count)
{
	Cache &c = *cache_;

	for (size_t i = 0; i < count; i++)
		c.index.Prefetch(c.tags[i]);
	for (size_t i = 0; i < count; i++) {
		c.guesses[i] = c.index.Find(c.tags[i], [](uint32_t) { return true; });
		if (c.guesses[i] != TagIndex::kNone)
			__builtin_prefetch(&c.entries[c.guesses[i]], 1);
	}
	for (size_t i = 0; i < count; i++) {
		if (c.guesses[i] == TagIndex::kNone)
			continue;
		const uint8_t *entry = reinterpret_cast<const uint8_t *>(&c.entries[c.guesses[i]]);

		for (size_t line = kLine; line < sizeof(tg_delta); line += kLine)
			__builtin_prefetch(entry + line, 1);
	}
}

size_t UserMeter::Packets(const CapturedPacket *packets, size_t count)
{
	Cache &c = *cache_;

	for (size_t i = 0; i < count; i++) {
		const CapturedPacket &p = packets[i];
		tg_frame frame = {p.data, p.data + p.captured, p.original,
				  settings_.tunnels | (settings_.heads ? TG_PARSE_SEQUENCE : 0u)};

		ParseFrame(frame, p.link_type, &c.packets[i]);
		if (c.packets[i].fragment)
			tg_fragment_follow(c.fragments.data(), &c.packets[i]);
		c.tags[i] = TagOf(c.packets[i].key, settings_);
	}
	PrefetchEntries(count);
	for (size_t i = 0; i < count; i++) {
		// Time 0 stands for "none" here and in the table.
		uint64_t time_ns = std::max<uint64_t>(packets[i].time_ns, 1 << TG_TICK_SHIFT);

		if (now_ns_ > time_ns && now_ns_ - time_ns > kJumpNs)
			return i;
		AdvanceTo(time_ns);
		Meter(i, packets[i]);
	}
	return count;
}

void UserMeter::Use(Applications *applications,
		    const std::vector<std::pair<tg_head_service, tg_head_want>> &wants)
{
	applications_ = applications;
	wants_ = std::make_unique<HeadWants>(wants);
}

void UserMeter::SendHead(const tg_packet &packet, tg_delta *entry, const CapturedPacket &captured)
{
	tg_head head{};
	tg_u32 octets = tg_head_next(
	    entry, &packet, wants_->Of(tg_head_service_of(&packet, 1)),
	    wants_->Of(tg_head_service_of(&packet, 0)),
	    wants_->Of({.port = TG_HEAD_PORT_ANY, .protocol = packet.key.protocol, .reserved = 0}), &head);

	if (octets == 0)
		return;
	const uint8_t *payload = captured.data + packet.payload_offset;

	if (!tg_head_begun(entry, &packet)) {
		if (packet.payload_offset + uint32_t{TG_HEAD_BEGINNING} > captured.captured ||
		    !tg_head_begins(payload))
			return;
		tg_head_begin(entry, &packet);
	}
	if (packet.payload_offset + octets > captured.captured) {
		counters_.heads_cut++;
		return;
	}
	head.time_ns = now_ns_;
	counters_.heads_sent++;
	applications_->Head(head, payload);
}

void UserMeter::Meter(size_t i, const CapturedPacket &captured)
{
	Cache &c = *cache_;
	const tg_packet &packet = c.packets[i];
	uint32_t now = static_cast<uint32_t>(now_ns_ >> TG_TICK_SHIFT), tag = c.tags[i],
		 number = c.guesses[i];

	// Entries may have come and gone since the guess; a guess that still holds saves the look-up.
	if (number == TagIndex::kNone || c.entries[number].tag != tag ||
	    !tg_key_equal(&c.entries[number].key, &packet.key))
		number = c.index.Find(
		    tag, [&](uint32_t at) { return tg_key_equal(&c.entries[at].key, &packet.key); });
	uint32_t kept = std::min<uint32_t>(packet.payload, settings_.head_bytes);

	tg_count_packet(&counters_, &packet);
	if (number == TagIndex::kNone) {
		number = TakeEntry();
		tg_begin(&c.entries[number], tag, &packet, now, &counters_);
		c.index.Insert(tag, number);
	}
	tg_delta *entry = &c.entries[number];

	tg_add(&c.cache, entry, &packet, now, captured.interface, &settings_, settings_.export_ticks,
	       &counters_);
	if (kept && !tg_has_head(entry, packet.direction) &&
	    packet.payload_offset + kept <= captured.captured)
		std::memcpy(entry->head[packet.direction & 1], captured.data + packet.payload_offset, kept);
	if (settings_.heads && tg_head_open(entry, &packet))
		SendHead(packet, entry, captured);
	if (c.cache.count >= kDeltaBatch)
		DrainDeltas();
}

} // namespace tidegate
