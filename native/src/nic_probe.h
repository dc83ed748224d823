// What an interface is, so that a refused attachment can be explained.
#ifndef TIDEGATE_NIC_PROBE_H
#define TIDEGATE_NIC_PROBE_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tidegate
{

struct NicFacts {
	uint32_t ifindex = 0, mtu = 0, program_id = 0;
	std::string driver;   // empty when the driver does not say
	std::string xdp_mode; // none, native, generic, offload
	uint8_t mac[6] = {};
	bool up = false;
	std::optional<uint64_t> xdp_features; // NETDEV_XDP_ACT_* of linux/netdev.h; none before Linux 6.3
	bool strips_vlan = false;	      // received tags are taken out of the frame
	bool tells_vlan = false;	      // and XDP can ask for them
};

// Runs `work` on a thread of its own inside a network namespace given by path (/run/netns/x), or in ours when
// the path is empty: the namespace is a property of the thread. Returns 0 or the errno of entering it.
int InNetworkNamespace(const std::string &netns, const std::function<void()> &work);

// Returns 0 or an errno (ENODEV: no such interface there).
int ProbeNic(const std::string &name, const std::string &netns, NicFacts *facts);

// What the interface's driver can do with XDP; nothing where the kernel does not say.
std::optional<uint64_t> XdpFeatures(uint32_t ifindex);

// What XDP programs may ask about a frame, NETDEV_XDP_RX_METADATA_*; nothing before Linux 6.8.
std::optional<uint64_t> XdpMetadataFeatures(uint32_t ifindex);

// Whether the tags that an interface of this network namespace takes off can be asked for by XDP.
bool TellsStrippedVlan(const std::string &name, uint32_t ifindex);

// Whether XDP programs may redirect to an interface of this network namespace now; false when the kernel does
// not say.
bool TakesRedirects(uint32_t ifindex);

} // namespace tidegate

#endif
