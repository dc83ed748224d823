// Sends the frames of a frame run: many UDP flows side by side, each frame with its flow's number and its
// own.
#ifndef TIDEGATE_FRAME_SENDER_H
#define TIDEGATE_FRAME_SENDER_H

#include <cstdint>
#include <string>
#include <vector>

namespace tidegate
{

struct FrameSenderOptions {
	std::string device, source, destination;
	uint32_t port, packets_per_second, flows, packets_per_flow, milliseconds, first_flow;
};

class FrameSender
{
      public:
	static constexpr uint32_t kMostFlows = 64000;

	explicit FrameSender(const FrameSenderOptions &options) : options_(options), sent_(kMostFlows) {}

	// Everything of a frame but its source port and what it says of itself, from the interface that
	// sends, number `ifindex`, to the one that receives. Returns 0 or an errno.
	int Prepare(uint32_t ifindex, const uint8_t *own_mac, const uint8_t *gateway_mac);

	// In this thread's network namespace. Returns 0 or an errno.
	int Send();

	// Flows that were begun, and frames that were sent of each.
	uint32_t flows() const { return flows_; }
	uint32_t sent(uint32_t flow) const { return sent_[flow]; }
	double seconds() const { return seconds_; }

      private:
	static constexpr size_t kFrame = 60;

	struct Live {
		uint32_t flow = 0, left = 0;
	};

	uint32_t Random();
	Live &Next(std::vector<Live> &live);

	FrameSenderOptions options_;
	std::vector<uint32_t> sent_;
	uint32_t flows_ = 0, random_ = 1, ifindex_ = 0;
	double seconds_ = 0;
	uint8_t frame_[kFrame] = {};
};

} // namespace tidegate

#endif
