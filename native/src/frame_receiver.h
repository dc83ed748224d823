// One side of a frame run: what of the flows arrived here, how often, when first and in which order.
#ifndef TIDEGATE_FRAME_RECEIVER_H
#define TIDEGATE_FRAME_RECEIVER_H

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace tidegate
{

class FrameReceiver
{
      public:
	// Frames of flows with a number from `flows` on are not of this run.
	explicit FrameReceiver(uint32_t flows) : received_(flows), next_(flows) {}
	~FrameReceiver();
	FrameReceiver(const FrameReceiver &) = delete;
	FrameReceiver &operator=(const FrameReceiver &) = delete;

	// Opens the socket in this thread's network namespace. Returns 0 or an errno.
	int Listen(const std::string &address, uint16_t port);

	// Counts what comes until `stop`.
	void Receive(const std::atomic<bool> &stop);

	uint32_t received(uint32_t flow) const { return received_[flow]; }
	uint64_t reordered() const { return reordered_; }
	// CLOCK_MONOTONIC of each flow's first frame here, in order.
	const std::vector<double> &first_ms() const { return first_ms_; }

      private:
	int fd_ = -1;
	std::vector<uint32_t> received_, next_; // by flow; the number that comes next if none is missing
	std::vector<double> first_ms_;
	uint64_t reordered_ = 0;
};

} // namespace tidegate

#endif
