// Attaching to interfaces, and letting go of them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include "loader.h"
#include "nic_probe.h"

namespace tidegate
{

namespace
{
// include/uapi/linux/bpf.h since Linux 6.6
constexpr auto kTcxIngress = static_cast<enum bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<enum bpf_attach_type>(47);
constexpr __u32 kBeforeAll = 1u << 3; // BPF_F_BEFORE, with nothing that it is relative to
constexpr char kBehindXdp[] = "ingress-";
} // namespace

// The program for a device whose tags have to be asked for, in its network namespace: the same maps, another
// file descriptor. Negative when it cannot be loaded.
int Loader::LoadTagged(uint32_t ifindex)
{
	constexpr __u32 kDeviceBound = 1u << 6; // BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3
	struct bpf_object *object = bpf_object__open_file(object_path_.c_str(), nullptr);
	struct bpf_program *program;
	struct bpf_map *map;
	int error = 0, fd = -1;

	if (!object)
		return -errno;
	bpf_object__for_each_program(program, object)
	{
		const bool wanted = std::strcmp(bpf_program__name(program), "gateway_xdp_tagged") == 0;

		bpf_program__set_autoload(program, wanted);
		if (wanted) {
			bpf_program__set_ifindex(program, ifindex);
			bpf_program__set_flags(program, bpf_program__flags(program) | kDeviceBound);
		}
	}
	bpf_object__for_each_map(map, object)
	{
		if (!error)
			error = bpf_map__reuse_fd(map, map_fd(bpf_map__name(map)));
	}
	if (!error)
		error = bpf_object__load(object);
	if (!error)
		fd = dup(bpf_program__fd(bpf_object__find_program_by_name(object, "gateway_xdp_tagged")));
	bpf_object__close(object);
	return error ? error : fd;
}

int Loader::ProgramFor(const std::string &name, uint32_t ifindex, bool *tagged)
{
	int program = TellsStrippedVlan(name, ifindex) ? LoadTagged(ifindex) : -1;

	*tagged = program >= 0;
	if (program < 0)
		return program_fd("gateway_xdp");
	tagged_.push_back(program);
	return program;
}

BpfError Loader::Attach(const std::string &name, const std::string &netns, bool native, uint32_t *ifindex,
			bool *tagged)
{
	BpfError failure;
	int link = -1;

	*tagged = false;

	int entered = InNetworkNamespace(netns, [&] {
		*ifindex = if_nametoindex(name.c_str());
		if (*ifindex == 0) {
			failure = Failed("find the interface", ENODEV);
			return;
		}
		// Whoever meters by XDP meters no second time behind it.
		if (HasPinnedBehindXdp(name, netns))
			unlink(LinkPin(kBehindXdp + name, netns).c_str());
		// Generic XDP takes no program that is bound to a device.
		int program = native ? ProgramFor(name, *ifindex, tagged) : program_fd("gateway_xdp");

		if (HasPinnedLink(name, netns) &&
		    TakeOverLink(LinkPin(name, netns), program, *ifindex, &link))
			return;
		LIBBPF_OPTS(bpf_link_create_opts, options,
			    .flags = static_cast<__u32>(native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE));

		link = bpf_link_create(program, static_cast<int>(*ifindex), BPF_XDP, &options);
		if (link < 0)
			failure = Failed("attach XDP", errno);
		else if (!pin_directory_.empty() && bpf_obj_pin(link, LinkPin(name, netns).c_str()))
			failure = Failed("pin the link", errno);
	});

	if (entered)
		failure = Failed("enter the network namespace", entered);
	if (link >= 0)
		links_.push_back(link);
	if (steering_ && !failure)
		AttachDeferred(name, netns, *ifindex);
	return failure;
}

BpfError Loader::AttachEgress(const std::string &name, const std::string &netns)
{
	uint32_t ifindex;

	return AttachTc({"gateway_egress", "egress-", false}, name, netns, &ifindex);
}

BpfError Loader::AttachBehindXdp(const std::string &name, const std::string &netns, uint32_t *ifindex)
{
	return AttachTc({"gateway_ingress", kBehindXdp, true}, name, netns, ifindex);
}

bool Loader::HasPinnedBehindXdp(const std::string &name, const std::string &netns)
{
	return HasPinnedLink(kBehindXdp + name, netns);
}

BpfError Loader::AttachTc(const TcHook &hook, const std::string &name, const std::string &netns,
			  uint32_t *ifindex)
{
	std::string pin = pin_directory_.empty() ? "" : LinkPin(hook.pin + name, netns);
	int program = program_fd(hook.program), link = -1;
	BpfError failure;

	int entered = InNetworkNamespace(netns, [&] {
		*ifindex = if_nametoindex(name.c_str());
		if (!pin.empty() && FindLinkPin(pin) && TakeOverLink(pin, program, *ifindex, &link))
			return;
		// On ingress before all others, which may drop what came in.
		LIBBPF_OPTS(bpf_link_create_opts, options, .flags = hook.ingress ? kBeforeAll : 0);

		link = bpf_link_create(program, static_cast<int>(*ifindex),
				       hook.ingress ? kTcxIngress : kTcxEgress, &options);
		if (link < 0)
			failure = Failed(hook.ingress ? "attach tc ingress" : "attach tc egress", errno);
		else if (!pin.empty() && bpf_obj_pin(link, pin.c_str()))
			failure = Failed("pin the link", errno);
	});

	if (entered)
		failure = Failed("enter the network namespace", entered);
	if (link >= 0)
		links_.push_back(link);
	return failure;
}

void Loader::Detach()
{
	RemoveLinkPins();
	for (int link : links_)
		close(link);
	links_.clear();
}

} // namespace tidegate
