// What steering adds to the loader: sizes of its maps, the program behind XDP, what an earlier process left.
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <unistd.h>

#include "nic_probe.h"
#include "steering.h"

namespace tidegate
{

namespace
{
// include/uapi/linux/bpf.h since Linux 6.6
constexpr auto kTcxIngress = static_cast<enum bpf_attach_type>(46);

struct SteerMap {
	const char *name;
	uint32_t entries;
};

constexpr SteerMap kSized[] = {{"steer_blocks", 2 * TG_STEER_BLOCKS},
			       {"steer_groups", 2 * TG_STEER_GROUPS},
			       {"steer_rules", TG_STEER_RULES},
			       {"steer_pins", Steering::kMaxPins},
			       {"steer_filter", TG_STEER_FILTER_WORDS}};

uint32_t PinnedEntries(const std::string &path)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	int fd = bpf_obj_get(path.c_str());

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
		info.max_entries = 0;
	close(fd);
	return info.max_entries;
}
} // namespace

// Flows keep their buckets and pins only under the key that these were chosen by.
void Loader::AdoptSteering(LoaderOptions *options)
{
	int fd = bpf_obj_get((pin_directory_ + "/steer_tables").c_str());
	auto tables = std::make_unique<tg_steer_tables>();
	uint32_t zero = 0;

	if (fd < 0)
		return;
	if (bpf_map_lookup_elem(fd, &zero, tables.get()) == 0 && tables->control.has_secret)
		std::memcpy(options->settings.secret, tables->control.secret,
			    sizeof(options->settings.secret));
	close(fd);
}

// Large where steering is wanted. Maps of an earlier process keep their size, unless that was without
// steering.
BpfError Loader::SizeSteering()
{
	for (const SteerMap &wanted : kSized) {
		std::string pin = pin_directory_ + "/" + wanted.name;
		uint32_t pinned = pin_directory_.empty() ? 0 : PinnedEntries(pin), entries = 1;

		if (steering_) {
			entries = wanted.entries;
			if (pinned != 0 && pinned != entries)
				unlink(pin.c_str());
		} else if (pinned != 0) {
			entries = pinned;
		}
		int error =
		    bpf_map__set_max_entries(bpf_object__find_map_by_name(object_, wanted.name), entries);

		if (error)
			return Failed(wanted.name, error);
	}
	return {};
}

// Sends what XDP only marks. Without that program the routing table decides over marked frames.
void Loader::AttachDeferred(const std::string &name, const std::string &netns, uint32_t ifindex)
{
	std::string pin = pin_directory_.empty() ? "" : LinkPin("tc-" + name, netns);
	int program = program_fd("gateway_steer"), link = -1;

	InNetworkNamespace(netns, [&] {
		if (!pin.empty() && FindLinkPin(pin) && TakeOverLink(pin, program, ifindex, &link))
			return;
		link = bpf_link_create(program, static_cast<int>(ifindex), kTcxIngress, nullptr);
		if (link >= 0 && !pin.empty())
			bpf_obj_pin(link, pin.c_str());
	});
	defers_ &= link >= 0;
	if (link >= 0)
		links_.push_back(link);
}

} // namespace tidegate
