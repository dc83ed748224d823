// Capabilities of this process: they belong to threads (capabilities(7)), so giving one up means that every
// thread does. glibc does the same for setresuid(2), with a signal that no thread of a program can block; it
// is borrowed for the moment that this takes. Threads that are made later inherit what their maker has left.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fstream>
#include <linux/capability.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "addon.h"
#include "bpf_error.h"

namespace tidegate
{

namespace
{
// SIGSETXID of glibc's internal-signals.h.
constexpr int kBorrowedSignal = 33;
constexpr int kPatienceMs = 2000;
constexpr size_t kKernelMask = 8; // octets of the kernel's sigset_t

// rt_sigaction(2) as the kernel has it: glibc's own refuses the signal.
struct KernelAction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned char mask[kKernelMask];
};

std::atomic<uint64_t> kept{0};
std::atomic<int> failed{0};

struct Sets {
	uint64_t permitted = 0, effective = 0, inheritable = 0;
};

// capget(2) or capset(2) of the calling thread; errno.
int Capabilities(long number, Sets *sets)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {};

	for (int i = 0; i < 2; i++) {
		data[i].permitted = static_cast<uint32_t>(sets->permitted >> (32 * i));
		data[i].effective = static_cast<uint32_t>(sets->effective >> (32 * i));
		data[i].inheritable = static_cast<uint32_t>(sets->inheritable >> (32 * i));
	}
	if (syscall(number, &header, data))
		return errno;
	sets->permitted = data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
	sets->effective = data[0].effective | static_cast<uint64_t>(data[1].effective) << 32;
	sets->inheritable = data[0].inheritable | static_cast<uint64_t>(data[1].inheritable) << 32;
	return 0;
}

// Only system calls: it runs in a signal handler. Without the bounding set (which only CAP_SETPCAP may
// change; a service manager has changed it already) programs that root starts would get everything back.
void GiveUpInThisThread(int)
{
	int before = errno, error;
	uint64_t keep = kept.load();
	Sets sets;

	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	error = Capabilities(SYS_capget, &sets);
	sets.permitted &= keep;
	sets.effective = sets.permitted;
	sets.inheritable &= keep;
	if (!error)
		error = Capabilities(SYS_capset, &sets);
	if (error)
		failed.store(error);
	errno = before;
}

// Threads that still may more than `keep`.
std::vector<pid_t> Others(uint64_t keep)
{
	std::vector<pid_t> threads;
	DIR *tasks = opendir("/proc/self/task");

	while (struct dirent *entry = tasks ? readdir(tasks) : nullptr) {
		pid_t thread = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
		std::ifstream status(std::string("/proc/self/task/") + entry->d_name + "/status");

		if (thread == 0)
			continue;
		for (std::string line; std::getline(status, line);)
			if (line.rfind("CapPrm:", 0) == 0 &&
			    (std::strtoull(line.c_str() + 7, nullptr, 16) & ~keep))
				threads.push_back(thread);
	}
	if (tasks)
		closedir(tasks);
	return threads;
}

int KeepOnly(uint64_t keep)
{
	struct sigaction ours = {}, free_before;
	KernelAction action, glibcs;
	int error = 0;

	kept.store(keep);
	failed.store(0);
	GiveUpInThisThread(0);
	// How a handler returns is glibc's business: what it would set for another signal is taken over.
	ours.sa_handler = GiveUpInThisThread;
	ours.sa_flags = SA_RESTART;
	sigfillset(&ours.sa_mask);
	if (sigaction(SIGRTMAX, &ours, &free_before) ||
	    syscall(SYS_rt_sigaction, SIGRTMAX, nullptr, &action, kKernelMask) ||
	    sigaction(SIGRTMAX, &free_before, nullptr) ||
	    syscall(SYS_rt_sigaction, kBorrowedSignal, &action, &glibcs, kKernelMask))
		return errno;
	for (int ms = 0; !error; ms++) {
		std::vector<pid_t> threads = Others(keep);

		if (threads.empty() || failed.load())
			break;
		// Every ten milliseconds: one that runs takes it at once, and a second signal would only
		// wait.
		for (pid_t thread : threads)
			if (ms % 10 == 0)
				syscall(SYS_tgkill, getpid(), thread, kBorrowedSignal);
		struct timespec pause = {0, 1000000};

		nanosleep(&pause, nullptr);
		if (ms >= kPatienceMs)
			error = ETIMEDOUT;
	}
	syscall(SYS_rt_sigaction, kBorrowedSignal, &glibcs, nullptr, kKernelMask);
	return failed.load() ? failed.load() : error;
}

// keepCapabilities(mask: bigint): every thread gives up what is not in the mask (bit = number of
// linux/capability.h).
void KeepCapabilities(const Napi::CallbackInfo &info)
{
	bool lossless;
	int error = KeepOnly(info[0].As<Napi::BigInt>().Uint64Value(&lossless));

	if (error)
		ThrowBpfError(info.Env(), BpfError{error, "give up capabilities", ""});
}

// useCapabilities(mask: bigint): of what it holds, the calling thread uses only these from now on; it can
// take the others up again by another call.
void UseCapabilities(const Napi::CallbackInfo &info)
{
	bool lossless;
	uint64_t use = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
	Sets sets;
	int error = Capabilities(SYS_capget, &sets);

	sets.effective = sets.permitted & use;
	if (!error)
		error = Capabilities(SYS_capset, &sets);
	if (error)
		ThrowBpfError(info.Env(), BpfError{error, "use fewer capabilities", ""});
}
} // namespace

void InitPrivileges(Napi::Env env, Napi::Object exports)
{
	exports.Set("keepCapabilities", Napi::Function::New(env, KeepCapabilities, "keepCapabilities"));
	exports.Set("useCapabilities", Napi::Function::New(env, UseCapabilities, "useCapabilities"));
}

} // namespace tidegate
