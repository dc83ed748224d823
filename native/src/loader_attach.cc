// Attaching to interfaces, and letting go of them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include "loader.h"
#include "nic_probe.h"

namespace tidegate
{

namespace
{
constexpr enum bpf_attach_type kTcxEgress = static_cast<enum bpf_attach_type>(47); // Linux 6.6
} // namespace

BpfError Loader::Attach(const std::string &name, const std::string &netns, bool native, uint32_t *ifindex)
{
	int program = bpf_program__fd(bpf_object__find_program_by_name(object_, "gateway_xdp"));
	BpfError failure;
	int link = -1;

	int entered = InNetworkNamespace(netns, [&] {
		*ifindex = if_nametoindex(name.c_str());
		if (*ifindex == 0) {
			failure = Failed("find the interface", ENODEV);
			return;
		}
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
	std::string pin = pin_directory_.empty() ? "" : LinkPin("egress-" + name, netns);
	int program = program_fd("gateway_egress"), link = -1;
	BpfError failure;

	int entered = InNetworkNamespace(netns, [&] {
		uint32_t ifindex = if_nametoindex(name.c_str());

		if (!pin.empty() && access(pin.c_str(), F_OK) == 0 &&
		    TakeOverLink(pin, program, ifindex, &link))
			return;
		link = bpf_link_create(program, static_cast<int>(ifindex), kTcxEgress, nullptr);
		if (link < 0)
			failure = Failed("attach tc egress", errno);
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
