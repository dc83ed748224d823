// Pins: how the datapath outlives the process, and how the next process finds it.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loader.h"

namespace tidegate
{

namespace
{
// The name of a map, and of its pin where that must be another: a bpffs allows no dot at the beginning.
struct PinnedMap {
	const char *name, *pin;
};

constexpr PinnedMap kPinnedMaps[] = {
    {"flow_cache", "flow_cache"},
    {"counters", "counters"},
    {"cpu_states", "cpu_states"},
    {"interface_counters", "interface_counters"},
    {"rings", "rings"},
    {"fragments", "fragments"},
    {"sweep_timers", "sweep_timers"},
    {"user_state", "user_state"},
    {"reader_states", "reader_states"},
    {".rodata.layout", "layout"},
    {".data.steer", "steer_tables"},
    {"steer_blocks", "steer_blocks"},
    {"steer_ipv6", "steer_ipv6"},
    {"steer_groups", "steer_groups"},
    {"steer_rules", "steer_rules"},
    {"steer_pins", "steer_pins"},
    {"steer_filter", "steer_filter"},
    {"steer_devices", "steer_devices"},
};
constexpr const char kBpffs[] = "/sys/fs/bpf";

int MakeDirectories(const std::string &path)
{
	for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
		if (mkdir(path.substr(0, at).c_str(), 0700) && errno != EEXIST)
			return errno;
		if (at == std::string::npos)
			return 0;
	}
}

int MountBpffs(const std::string &directory)
{
	struct statfs facts;

	if (directory.rfind(kBpffs, 0) != 0)
		return 0; // somewhere else: the operator's own bpffs
	if (statfs(kBpffs, &facts))
		return errno;
	if (static_cast<unsigned long>(facts.f_type) == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", kBpffs, "bpf", 0, "mode=0700") ? errno : 0;
}

uint32_t MaxEntriesOf(int fd)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &bytes) ? 0 : info.max_entries;
}

int RingOf(int outer, uint32_t cpu)
{
	uint32_t id;

	if (bpf_map_lookup_elem(outer, &cpu, &id))
		return -errno;
	return bpf_map_get_fd_by_id(id);
}
} // namespace

uint32_t Loader::datapath_id() const
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd("flow_cache"), &info, &bytes) ? 0 : info.id;
}

// Takes over what versions with other layouts left. EAGAIN: the process of one is alive.
int Loader::FindPredecessors()
{
	const std::string gateway = pin_directory_.substr(0, pin_directory_.rfind('/'));
	DIR *versions = opendir(gateway.c_str());
	int error = versions ? 0 : errno;

	while (struct dirent *version = error ? nullptr : readdir(versions)) {
		std::string other = gateway + "/" + version->d_name;

		if (version->d_name[0] == '.' || other == pin_directory_)
			continue;
		auto found = Predecessor::Open(other, cpus_, &error);

		if (found)
			predecessors_.push_back(std::move(found));
	}
	if (versions)
		closedir(versions);
	// Maps are numbered in the order of their making.
	std::sort(predecessors_.begin(), predecessors_.end(),
		  [](const auto &a, const auto &b) { return a->datapath() > b->datapath(); });
	return error;
}

// Sets the pin path of every map. When they exist already, their sizes win over the options: the maps go on.
BpfError Loader::PreparePins(LoaderOptions *options)
{
	int error = MountBpffs(options->pin_directory);

	if (!error)
		error = MakeDirectories(options->pin_directory);
	if (error)
		return Failed("make the pin directory", error);
	pin_directory_ = options->pin_directory;
	owner_ = open(pin_directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (owner_ < 0 || flock(owner_, LOCK_EX | LOCK_NB))
		return Failed("own the pin directory", errno);
	error = FindPredecessors();
	if (error)
		return Failed("own the pin directory", error);
	for (const PinnedMap &pinned : kPinnedMaps) {
		struct bpf_map *map = bpf_object__find_map_by_name(object_, pinned.name);

		std::string path = pin_directory_ + "/" + pinned.pin;
		int found = -1;

		// The kernel marks a device map as read-only for programs by itself, and libbpf before 1.4
		// takes that for another map than ours.
		if (map && bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP)
			found = bpf_obj_get(path.c_str());
		error = !map	     ? -ENOENT
			: found >= 0 ? bpf_map__reuse_fd(map, found)
				     : bpf_map__set_pin_path(map, path.c_str());
		if (found >= 0)
			close(found);
		if (error)
			return Failed("set a pin path", error);
	}
	AdoptSteering(options);
	int cache = bpf_obj_get((pin_directory_ + "/flow_cache").c_str());
	int rings = bpf_obj_get((pin_directory_ + "/rings").c_str());
	int ring = rings >= 0 ? RingOf(rings, 0) : -1;

	adopted_ = cache >= 0 && ring >= 0;
	if (adopted_) {
		options->settings.mask = MaxEntriesOf(cache) / cpus_ - 1;
		options->ring_bytes = MaxEntriesOf(ring);
	}
	for (int fd : {cache, rings, ring}) {
		if (fd >= 0)
			close(fd);
	}
	return {};
}

// One ring a CPU: those of the earlier process, or new ones.
BpfError Loader::OpenRings()
{
	int outer = map_fd("rings");

	for (uint32_t cpu = 0; cpu < cpus_; cpu++) {
		int ring = adopted_ ? RingOf(outer, cpu) : -1;

		if (ring < 0) {
			ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "flow_ring", 0, 0, ring_bytes_, nullptr);
			if (ring < 0)
				return Failed("create a ring buffer", errno);
			if (bpf_map_update_elem(outer, &cpu, &ring, BPF_ANY)) {
				close(ring);
				return Failed("install a ring buffer", errno);
			}
		}
		rings_.push_back(ring);
	}
	return {};
}

std::string Loader::LinkPin(const std::string &name, const std::string &netns) const
{
	std::string where = netns.substr(netns.rfind('/') + 1), pin = kLinkPrefix + where + "-" + name;

	// bpffs allows no dots in names.
	for (char &c : pin) {
		if (c == '.')
			c = '_';
	}
	return pin_directory_ + "/" + pin;
}

bool Loader::HasPinnedLink(const std::string &name, const std::string &netns)
{
	return !pin_directory_.empty() && FindLinkPin(LinkPin(name, netns));
}

// Whether there is such a pin. That of another layout becomes ours, so that the program in its link is
// replaced in one step.
bool Loader::FindLinkPin(const std::string &pin)
{
	const std::string name = pin.substr(pin.rfind('/'));

	for (const auto &predecessor : predecessors_) {
		if (access(pin.c_str(), F_OK) != 0)
			rename((predecessor->directory() + name).c_str(), pin.c_str());
	}
	return access(pin.c_str(), F_OK) == 0;
}

// Puts our program into an earlier process's link. False when that link has lost its interface.
bool Loader::TakeOverLink(const std::string &pin, int program, uint32_t ifindex, int *link)
{
	struct bpf_link_info info = {};
	__u32 bytes = sizeof(info);
	int fd = bpf_obj_get(pin.c_str());

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && info.xdp.ifindex == ifindex &&
	    bpf_link_update(fd, program, nullptr) == 0) {
		*link = fd;
		return true;
	}
	if (fd >= 0)
		close(fd);
	unlink(pin.c_str());
	return false;
}

void Loader::RemoveLinkPins()
{
	DIR *directory = pin_directory_.empty() ? nullptr : opendir(pin_directory_.c_str());

	if (!directory)
		return;
	while (struct dirent *entry = readdir(directory)) {
		if (std::strncmp(entry->d_name, kLinkPrefix, sizeof(kLinkPrefix) - 1) == 0)
			unlink((pin_directory_ + "/" + entry->d_name).c_str());
	}
	closedir(directory);
}

void Loader::Unpin()
{
	if (pin_directory_.empty())
		return;
	RemoveLinkPins();
	for (const PinnedMap &pinned : kPinnedMaps)
		unlink((pin_directory_ + "/" + pinned.pin).c_str());
	// The version, the gateway, and our root if no other gateway is left.
	std::string directory = pin_directory_;

	for (int level = 0; level < 3 && rmdir(directory.c_str()) == 0; level++)
		directory.resize(directory.rfind('/'));
}

} // namespace tidegate
