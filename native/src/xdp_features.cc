// What an interface can do with XDP, by the kernel's `netdev` family of generic netlink (Linux 6.3,
// Documentation/netlink/specs/netdev.yaml).
#include "nic_probe.h"

#include <cstring>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace tidegate
{

namespace
{
constexpr uint8_t kDevGet = 1; // NETDEV_CMD_DEV_GET
constexpr uint16_t kIfindex = 1, kXdpFeatures = 3, kMetadataFeatures = 5;

struct Message {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	uint8_t attributes[8192];
};

// Sends one request with one attribute; the attribute `wanted` of the answer, or null.
const struct nlattr *Ask(int fd, Message *message, uint16_t family, uint8_t command, uint16_t attribute,
			 const void *value, uint16_t bytes, uint16_t wanted)
{
	auto *sent = reinterpret_cast<struct nlattr *>(message->attributes);

	std::memset(message, 0, sizeof(*message));
	message->header.nlmsg_type = family;
	message->header.nlmsg_flags = NLM_F_REQUEST;
	message->generic.cmd = command;
	message->generic.version = 1;
	sent->nla_type = attribute;
	sent->nla_len = static_cast<uint16_t>(NLA_HDRLEN + bytes);
	std::memcpy(message->attributes + NLA_HDRLEN, value, bytes);
	message->header.nlmsg_len =
	    static_cast<uint32_t>(NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(sent->nla_len));
	if (send(fd, message, message->header.nlmsg_len, 0) < 0)
		return nullptr;
	ssize_t got = recv(fd, message, sizeof(*message), 0);

	if (got < static_cast<ssize_t>(NLMSG_HDRLEN + GENL_HDRLEN) ||
	    message->header.nlmsg_type == NLMSG_ERROR)
		return nullptr;
	size_t end = static_cast<size_t>(got) - NLMSG_HDRLEN - GENL_HDRLEN;

	for (size_t at = 0; at + NLA_HDRLEN <= end;) {
		auto *found = reinterpret_cast<const struct nlattr *>(message->attributes + at);

		if (found->nla_len < NLA_HDRLEN || at + found->nla_len > end)
			return nullptr;
		if ((found->nla_type & NLA_TYPE_MASK) == wanted)
			return found;
		at += NLA_ALIGN(found->nla_len);
	}
	return nullptr;
}

// An attribute of 64 bits of an interface.
std::optional<uint64_t> DeviceWord(uint32_t ifindex, uint16_t attribute)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	struct timeval limit = {1, 0};
	Message message;
	std::optional<uint64_t> features;

	if (fd < 0)
		return features;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	const struct nlattr *found = Ask(fd, &message, GENL_ID_CTRL, CTRL_CMD_GETFAMILY,
					 CTRL_ATTR_FAMILY_NAME, "netdev", 7, CTRL_ATTR_FAMILY_ID);

	if (found) {
		uint16_t family;

		std::memcpy(&family, reinterpret_cast<const uint8_t *>(found) + NLA_HDRLEN, sizeof(family));
		found = Ask(fd, &message, family, kDevGet, kIfindex, &ifindex, sizeof(ifindex), attribute);
		if (found)
			std::memcpy(&features.emplace(),
				    reinterpret_cast<const uint8_t *>(found) + NLA_HDRLEN, sizeof(uint64_t));
	}
	close(fd);
	return features;
}

} // namespace

std::optional<uint64_t> XdpFeatures(uint32_t ifindex)
{
	return DeviceWord(ifindex, kXdpFeatures);
}

std::optional<uint64_t> XdpMetadataFeatures(uint32_t ifindex)
{
	return DeviceWord(ifindex, kMetadataFeatures);
}

bool TakesRedirects(uint32_t ifindex)
{
	constexpr uint64_t kNdoXmit = 4; // NETDEV_XDP_ACT_NDO_XMIT

	return XdpFeatures(ifindex).value_or(0) & kNdoXmit;
}

} // namespace tidegate
