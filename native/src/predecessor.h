// The pinned datapath of a Tidegate with another layout: read to its end by this one, then removed.
#ifndef TIDEGATE_PREDECESSOR_H
#define TIDEGATE_PREDECESSOR_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "flow_abi.h"
}
#include "delta_decoder.h"
#include "pinned_ring.h"

namespace tidegate
{

// Pins of links begin so.
constexpr char kLinkPrefix[] = "link-";

class Predecessor
{
      public:
	// Takes a pin directory over. Null with *error = 0 when nothing in it counts packets; EAGAIN: its
	// process is alive.
	static std::unique_ptr<Predecessor> Open(const std::string &directory, uint32_t cpus, int *error);
	~Predecessor();
	Predecessor(const Predecessor &) = delete;
	Predecessor &operator=(const Predecessor &) = delete;

	// The BPF id of its flow cache.
	uint32_t datapath() const { return datapath_; }
	const std::string &directory() const { return directory_; }
	// Its records and entries can be decoded.
	bool readable() const { return readable_; }

	// Ends its links that were not taken over, and its timers. When this returns no program runs any
	// more that writes its maps.
	void Halt();

	// What it had counted and what it had drained itself, of which `delivered` packets were given back.
	tg_retired Totals() const;

	// An earlier process merged a ring so far, and has the packets still.
	void Taken(uint32_t cpu, uint64_t end, uint64_t packets, uint64_t octets);

	// Hands over what is left, in the order in which it was counted. `position` grows through a CPU's
	// records and then its entries. After Drained() of a position nothing up to it is there any more.
	struct Part {
		tg_delta delta;
		uint32_t cpu;
		uint64_t position;
	};
	void Visit(const std::function<void(const Part &)> &visit) const;
	void Drained(uint32_t cpu, uint64_t position);

	// Removes its pins.
	void Remove();

      private:
	Predecessor() = default;
	bool OpenMaps();
	bool ReadableWith(int cache);
	void ReadSampling(const BtfFields &types, const std::vector<uint8_t> &states);
	void VisitEntries(uint32_t cpu, const std::function<void(const Part &)> &visit) const;
	int PinOf(const char *name) const;

	std::string directory_;
	int owner_ = -1; // holds the lock of the directory
	uint32_t cpus_ = 0, datapath_ = 0, entries_ = 0;
	bool readable_ = false, taken_known_ = false;
	uint64_t taken_packets_ = 0, taken_octets_ = 0;
	std::vector<uint32_t> sampling_;
	std::vector<uint32_t> freed_; // entries of each CPU that were drained
	DeltaDecoder entry_, record_;
	std::vector<std::unique_ptr<PinnedRing>> rings_;
	uint8_t *cache_ = nullptr;
	size_t cache_bytes_ = 0;
};

} // namespace tidegate

#endif
