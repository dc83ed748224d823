#include "nic_probe.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace tidegate
{

int InNetworkNamespace(const std::string &netns, const std::function<void()> &work)
{
	int error = 0;

	std::thread([&] {
		if (!netns.empty()) {
			int fd = open(netns.c_str(), O_RDONLY | O_CLOEXEC);

			if (fd < 0 || setns(fd, CLONE_NEWNET))
				error = errno;
			if (fd >= 0)
				close(fd);
		}
		if (error == 0)
			work();
	}).join();
	return error;
}

namespace
{
bool StripsVlan(const std::string &name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS, .data = 0};

	std::strncpy(request.ifr_name, name.c_str(), sizeof(request.ifr_name) - 1);
	request.ifr_data = reinterpret_cast<char *>(&flags);
	bool strips = fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && (flags.data & ETH_FLAG_RXVLAN);

	if (fd >= 0)
		close(fd);
	return strips;
}

int ProbeHere(const std::string &name, NicFacts *facts)
{
	facts->ifindex = if_nametoindex(name.c_str());
	if (facts->ifindex == 0)
		return ENODEV;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	struct ifreq request = {};
	struct ethtool_drvinfo driver = {};

	std::strncpy(request.ifr_name, name.c_str(), sizeof(request.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFMTU, &request) == 0)
		facts->mtu = static_cast<uint32_t>(request.ifr_mtu);
	if (ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		std::memcpy(facts->mac, request.ifr_hwaddr.sa_data, sizeof(facts->mac));
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0)
		facts->up = request.ifr_flags & IFF_UP;
	driver.cmd = ETHTOOL_GDRVINFO;
	request.ifr_data = reinterpret_cast<char *>(&driver);
	if (ioctl(fd, SIOCETHTOOL, &request) == 0)
		facts->driver = driver.driver;
	close(fd);
	facts->strips_vlan = StripsVlan(name);
	facts->tells_vlan = TellsStrippedVlan(name, facts->ifindex);
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int status = bpf_xdp_query(static_cast<int>(facts->ifindex), 0, &query);

	if (status)
		return -status;
	facts->xdp_features = XdpFeatures(facts->ifindex);
	facts->program_id = query.prog_id;
	facts->xdp_mode = query.attach_mode == XDP_ATTACHED_DRV	  ? "native"
			  : query.attach_mode == XDP_ATTACHED_SKB ? "generic"
			  : query.attach_mode == XDP_ATTACHED_HW  ? "offload"
								  : "none";
	return 0;
}
} // namespace

bool TellsStrippedVlan(const std::string &name, uint32_t ifindex)
{
	constexpr uint64_t kVlanTag = 4; // NETDEV_XDP_RX_METADATA_VLAN_TAG

	return StripsVlan(name) && (XdpMetadataFeatures(ifindex).value_or(0) & kVlanTag);
}

int ProbeNic(const std::string &name, const std::string &netns, NicFacts *facts)
{
	int status = 0;
	int entered = InNetworkNamespace(netns, [&] { status = ProbeHere(name, facts); });

	return entered ? entered : status;
}

} // namespace tidegate
