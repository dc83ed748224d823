// Programs that user space runs, on every CPU or over one frame.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <sched.h>

#include "loader.h"

namespace tidegate
{

// Runs a tc program once on each CPU that this process may use; a CPU outside its cpuset is skipped.
BpfError Loader::RunOnEachCpu(const char *program, uint32_t first, uint32_t count, uint32_t *ran)
{
	int fd = bpf_program__fd(bpf_object__find_program_by_name(object_, program));
	tg_flush_request request = {first, count};
	uint8_t frame[64] = {};
	cpu_set_t before, one;
	BpfError failure;

	*ran = 0;
	std::memcpy(frame + TG_FLUSH_REQUEST_OFFSET, &request, sizeof(request));
	sched_getaffinity(0, sizeof(before), &before);
	for (uint32_t cpu = 0; cpu < cpus_ && !failure; cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
			    .repeat = 1);

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		if (bpf_prog_test_run_opts(fd, &run))
			failure = Failed(program, errno);
		else if (run.retval != 0)
			failure = Failed(program, EIO);
		else
			++*ran;
	}
	sched_setaffinity(0, sizeof(before), &before);
	return failure;
}

BpfError Loader::Arm()
{
	return RunOnEachCpu("gateway_arm", 0, 0, &armed_);
}

BpfError Loader::FlushSlots(uint32_t first, uint32_t count)
{
	uint32_t ran;

	return RunOnEachCpu("gateway_flush", first, count, &ran);
}

uint32_t Loader::flush_slice() const
{
	// Half of a ring, so that packets metered meanwhile find room.
	uint32_t records = ring_bytes_ / 2 / (sizeof(tg_delta) + BPF_RINGBUF_HDR_SZ);

	return std::max(1u, std::min(records, 1024u));
}

BpfError Loader::Run(const char *program, const uint8_t *frame, uint32_t bytes, uint32_t *verdict)
{
	std::vector<uint8_t> out(bytes + 256);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_out = out.data(), .data_size_in = bytes,
		    .data_size_out = static_cast<__u32>(out.size()), .repeat = 1);

	if (bpf_prog_test_run_opts(program_fd(program), &run))
		return Failed("run a program", errno);
	*verdict = run.retval;
	return {};
}

} // namespace tidegate
