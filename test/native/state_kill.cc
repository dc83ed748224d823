// A consumer of records that is killed at any instruction: a parent sends SIGKILL to children that do nothing
// but merge, each going on where the last one died, and then compares everything that was delivered with
// everything that was in the ring. Prints one line of JSON.
//
//   state_kill STATE LOG KILLS
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <random>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flow_table.h"
#include "state_file.h"

using namespace tidegate;

namespace
{
constexpr uint32_t kSlabs = 4, kSlabRows = 64, kRecords = 1 << 18, kFlows = 5000;
constexpr uint64_t kStart = 1000ull << 30;

struct Delivery {
	uint64_t sequence, rows, packets, octets, checksum;
};

// Record i of the ring; the same in every process.
tg_delta RecordAt(uint64_t i)
{
	std::mt19937_64 random(i);
	tg_delta record{};
	uint32_t flow = static_cast<uint32_t>(random() % kFlows);

	std::memcpy(record.key.lower_address + 12, &flow, 4);
	record.key.lower_address[10] = record.key.lower_address[11] = 0xff;
	record.key.upper_address[10] = record.key.upper_address[11] = 0xff;
	record.key.upper_port = 443;
	record.key.kind = TG_KIND_IPV4;
	record.key.protocol = 6;
	record.packets[0] = static_cast<uint16_t>(1 + random() % 200);
	record.octets[0] = record.packets[0] * 100u;
	record.size_bins[0][0] = static_cast<uint8_t>(record.packets[0]);
	record.seen = 1;
	record.first_tick[0] = record.last_tick[0] =
	    static_cast<uint32_t>((kStart + i * 50000) >> TG_TICK_SHIFT);
	record.ttl_min[0] = record.ttl_max[0] = 64;
	return record;
}

// Merges until the ring is empty, then hands everything over.
void Consume(const char *path, int log)
{
	SlabLayout layout(kSlabRows);
	std::vector<std::vector<uint8_t>> memory(kSlabs, std::vector<uint8_t>(layout.bytes()));
	std::vector<SlabMemory> slabs;
	StateFile state;
	SlabWriter *writer = nullptr;
	std::vector<uint32_t> recovered;

	for (auto &slab : memory)
		slabs.push_back({slab.data(), slab.size()});
	if (state.Open(path, FlowTable::ShapeOf(1, 1, slabs)))
		_exit(2);
	auto deliver = [&](uint32_t number) {
		const uint32_t *header = reinterpret_cast<const uint32_t *>(memory[number].data());
		Delivery d{header[kSequence], header[kRows],
			   static_cast<uint64_t>(header[kPacketsHigh]) << 32 | header[kPacketsLow],
			   static_cast<uint64_t>(header[kOctetsHigh]) << 32 | header[kOctetsLow], 0};
		const uint64_t *packets = reinterpret_cast<const uint64_t *>(
		    memory[number].data() + layout.offset(Column::PacketDeltaCount));
		const uint64_t *reverse = reinterpret_cast<const uint64_t *>(
		    memory[number].data() + layout.offset(Column::ReversePacketDeltaCount));
		for (uint64_t row = 0; row < d.rows; row++)
			d.checksum += packets[row] + reverse[row];
		if (write(log, &d, sizeof(d)) != sizeof(d))
			_exit(3);
		writer->Release(number);
		*reinterpret_cast<volatile uint32_t *>(memory[number].data()) = 0;
	};
	SlabWriter own(
	    slabs, kSlabRows,
	    [&](uint32_t number) {
		    if (writer)
			    deliver(number);
		    else
			    recovered.push_back(number);
	    },
	    [] { return false; }, &state);
	FlowTable table({.idle_ns = 1ull << 30,
			 .active_ns = 2ull << 30,
			 .grace_ns = 1 << 20,
			 .max_flows = 3000,
			 .sampling_interval = 1,
			 .addresses = {}},
			own, &state);

	writer = &own;
	for (uint32_t number : recovered)
		deliver(number);
	tg_delta batch[64];

	for (uint64_t at; (at = state.progress(0).end) < kRecords;) {
		size_t count = 0;

		for (; count < 64 && at + count < kRecords; count++)
			batch[count] = RecordAt(at + count);
		ClockBase clock{kStart + at * 50000, 0};
		FlowTable::Origin origin{0, at, 1};

		table.Merge({.first = batch, .count = count}, clock, &origin);
		table.Advance(clock);
	}
	while (!table.FlushAll({kStart + kRecords * 50000ull, 0}))
		;
	own.Flush();
	_exit(0);
}
} // namespace

int main(int, char **arguments)
{
	const char *path = arguments[1];
	int log = open(arguments[2], O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	int wanted = atoi(arguments[3]), kills = 0, status = 0;
	std::mt19937 random(7);

	unlink(path);
	for (;;) {
		pid_t child = fork();

		if (child == 0)
			Consume(path, log);
		if (kills < wanted) {
			usleep(2000 + random() % 10000);
			kill(child, SIGKILL);
		}
		waitpid(child, &status, 0);
		// Whatever ends a child but our own signal is a fault of its own.
		if (WIFEXITED(status) || WTERMSIG(status) != SIGKILL)
			break;
		kills++;
	}
	std::map<uint64_t, Delivery> batches;
	uint64_t expected = 0, delivered = 0, again = 0, differing = 0, unbalanced = 0;
	Delivery d;

	lseek(log, 0, SEEK_SET);
	while (read(log, &d, sizeof(d)) == sizeof(d)) {
		auto [at, fresh] = batches.emplace(d.sequence, d);

		again += !fresh;
		differing += !fresh && std::memcmp(&at->second, &d, sizeof(d)) != 0;
		unbalanced += d.checksum != d.packets;
		delivered += fresh ? d.packets : 0;
	}
	for (uint64_t i = 0; i < kRecords; i++)
		expected += RecordAt(i).packets[0];
	unlink(path);
	printf("{\"exit\":%d,\"kills\":%d,\"expected\":%lu,\"delivered\":%lu,\"batches\":%zu,\"again\":%lu,"
	       "\"differing\":%lu,\"unbalanced\":%lu}\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) + 128, kills, expected, delivered,
	       batches.size(), again, differing, unbalanced);
}
