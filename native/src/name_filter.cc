#include "name_filter.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <cstring>

namespace tidegate
{

namespace
{
constexpr size_t kLabelsKept = 2;

std::string Lower(std::string_view text)
{
	std::string lower(text);

	std::transform(lower.begin(), lower.end(), lower.begin(),
		       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
	return lower;
}

// 64 bits as 13 letters and digits, which a host name may have.
std::string Label(uint64_t value)
{
	constexpr char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	std::string label;

	for (int i = 0; i < 13; i++, value >>= 5)
		label += alphabet[value & 31];
	return label;
}

// `:443` behind a host, with its colon.
std::string_view PortOf(std::string_view host)
{
	size_t colon = host.rfind(':');
	bool one = colon != std::string_view::npos &&
		   (host.find(':') == colon || (colon > 0 && host[colon - 1] == ']'));
	std::string_view digits = one ? host.substr(colon + 1) : std::string_view();

	if (digits.empty() ||
	    !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); }))
		return {};
	return host.substr(colon);
}
} // namespace

NameMask::NameMask(const AddressMaskOptions &options) : options_(options), addresses_(options) {}

std::string NameMask::Address(std::string_view text, bool *is_address)
{
	bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
	std::string inner(bracketed ? text.substr(1, text.size() - 2) : text);
	uint8_t address[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, masked[16];
	char words[INET6_ADDRSTRLEN];
	bool ipv4 = inet_pton(AF_INET, inner.c_str(), address + 12) == 1;

	*is_address = ipv4 || inet_pton(AF_INET6, inner.c_str(), address) == 1;
	if (!*is_address)
		return {};
	addresses_.Apply(address, masked);
	if (ipv4)
		return inet_ntop(AF_INET, masked + 12, words, sizeof(words));
	std::string result = inet_ntop(AF_INET6, masked, words, sizeof(words));

	return bracketed ? "[" + result + "]" : result;
}

std::string NameMask::Apply(std::string_view name)
{
	if (addresses_.plain())
		return std::string(name);
	std::string_view port = PortOf(name), host = name.substr(0, name.size() - port.size());
	bool is_address = false;
	std::string address = Address(host, &is_address);

	if (is_address)
		return address + std::string(port);
	if (host == ".")
		return std::string(name);
	std::string lower = Lower(host), result;

	if (options_.mode == AddressMode::Truncate) {
		size_t at = lower.size();

		for (size_t i = 0; i < kLabelsKept && at != std::string::npos; i++)
			at = at == 0 ? std::string::npos : lower.rfind('.', at - 1);
		result = at == std::string::npos ? lower : "*" + lower.substr(at);
	} else {
		for (size_t at = 0; at != std::string::npos;) {
			std::string_view rest = std::string_view(lower).substr(at);
			size_t dot = rest.find('.');

			result +=
			    (at == 0 ? "" : ".") +
			    Label(SipHash24(options_.key, reinterpret_cast<const uint8_t *>(rest.data()),
					    rest.size()));
			at = dot == std::string_view::npos ? dot : at + dot + 1;
		}
	}
	return result + std::string(port);
}

} // namespace tidegate
