#include "ja4.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <openssl/evp.h>

namespace tidegate
{

namespace
{
constexpr uint16_t kServerName = 0x0000, kAlpn = 0x0010;
constexpr size_t kShortHash = 12; // hexadecimal digits
constexpr size_t kMostCounted = 99;

bool IsGrease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

std::vector<uint16_t> WithoutGrease(std::vector<uint16_t> values)
{
	std::erase_if(values, IsGrease);
	return values;
}

std::string Joined(const std::vector<uint16_t> &values)
{
	std::string text;
	char hex[8];

	for (uint16_t value : values) {
		std::snprintf(hex, sizeof(hex), text.empty() ? "%04x" : ",%04x", value);
		text += hex;
	}
	return text;
}

std::string ShortHash(const std::string &text)
{
	if (text.empty())
		return std::string(kShortHash, '0');
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int bytes = 0;
	std::string hash;
	char hex[4];

	EVP_Digest(text.data(), text.size(), digest, &bytes, EVP_sha256(), nullptr);
	for (size_t i = 0; i < kShortHash / 2 && i < bytes; i++) {
		std::snprintf(hex, sizeof(hex), "%02x", digest[i]);
		hash += hex;
	}
	return hash;
}

const char *VersionOf(const ClientHelloFacts &facts)
{
	std::vector<uint16_t> offered = WithoutGrease(facts.supported_versions);
	uint16_t version =
	    offered.empty() ? facts.version : *std::max_element(offered.begin(), offered.end());

	switch (version) {
	case 0x0304:
		return "13";
	case 0x0303:
		return "12";
	case 0x0302:
		return "11";
	case 0x0301:
		return "10";
	case 0x0300:
		return "s3";
	case 0x0002:
		return "s2";
	case 0xfeff:
		return "d1";
	case 0xfefd:
		return "d2";
	case 0xfefc:
		return "d3";
	default:
		return "00";
	}
}

// Its first and last character, or those of its hexadecimal form when one of them is not alphanumeric.
std::string ProtocolOf(const std::string &first)
{
	if (first.empty())
		return "00";
	unsigned char a = static_cast<unsigned char>(first.front()),
		      z = static_cast<unsigned char>(first.back());
	constexpr char digits[] = "0123456789abcdef";

	if (a < 0x80 && z < 0x80 && std::isalnum(a) && std::isalnum(z))
		return {first.front(), first.back()};
	return {digits[a >> 4], digits[z & 15]};
}
} // namespace

std::string Ja4(const ClientHelloFacts &facts)
{
	std::vector<uint16_t> ciphers = WithoutGrease(facts.ciphers),
			      extensions = WithoutGrease(facts.extensions),
			      algorithms = WithoutGrease(facts.signature_algorithms);
	bool named = std::find(extensions.begin(), extensions.end(), kServerName) != extensions.end();
	char counts[8];

	std::snprintf(counts, sizeof(counts), "%02zu%02zu", std::min(ciphers.size(), kMostCounted),
		      std::min(extensions.size(), kMostCounted));
	std::string result = {facts.transport};

	result += VersionOf(facts);
	result += named ? 'd' : 'i';
	result += counts;
	result += ProtocolOf(facts.first_protocol);
	std::sort(ciphers.begin(), ciphers.end());
	result += '_' + ShortHash(Joined(ciphers));
	std::erase_if(extensions, [](uint16_t e) { return e == kServerName || e == kAlpn; });
	std::sort(extensions.begin(), extensions.end());
	std::string tail = Joined(extensions);

	if (!tail.empty() && !algorithms.empty())
		tail += '_' + Joined(algorithms);
	return result + '_' + ShortHash(tail);
}

} // namespace tidegate
