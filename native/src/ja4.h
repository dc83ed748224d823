// JA4, the TLS client fingerprint of FoxIO (BSD 3-clause part of the JA4+ suite):
// https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md
#ifndef TIDEGATE_JA4_H
#define TIDEGATE_JA4_H

#include <cstdint>
#include <string>
#include <vector>

namespace tidegate
{

// What a ClientHello says, in its order, GREASE (RFC 8701) included.
struct ClientHelloFacts {
	char transport = 't'; // t = TCP, q = QUIC, d = DTLS
	uint16_t version = 0; // legacy_version
	std::vector<uint16_t> ciphers, extensions, signature_algorithms, supported_versions;
	std::string first_protocol; // of ALPN; empty = none
};

std::string Ja4(const ClientHelloFacts &facts);

} // namespace tidegate

#endif
