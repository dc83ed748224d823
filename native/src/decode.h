// What the first octets of a flow say about its application. Pure functions over octets that anybody may have
// sent: nothing is read past the end, nothing is thrown, and what is not certainly of the protocol is not
// its.
#ifndef TIDEGATE_DECODE_H
#define TIDEGATE_DECODE_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "application_text.h"

namespace tidegate
{

enum class Decoded {
	Foreign,    // another protocol, or damaged: nothing more is to be expected
	Incomplete, // what is there was taken; more octets may tell more
	Complete,
};

// What becomes of a host or query name before it is kept.
using NameFilter = std::function<std::string(std::string_view name)>;

// The stream of a TLS client from its first octet on: SNI, ALPN, JA4 (with transport 't').
Decoded DecodeTls(const uint8_t *data, size_t size, const NameFilter &name, ApplicationText *text);

// A ClientHello without record headers. `transport` is JA4's first letter: t, q or d.
Decoded DecodeClientHello(const uint8_t *data, size_t size, char transport, const NameFilter &name,
			  ApplicationText *text);

// The stream of an HTTP/1 client: method, host.
Decoded DecodeHttp(const uint8_t *data, size_t size, const NameFilter &name, ApplicationText *text);

// A DNS message; `stream` = with its length in front, as over TCP.
Decoded DecodeDns(const uint8_t *data, size_t size, bool stream, const NameFilter &name,
		  ApplicationText *text);

// The crypto stream of a QUIC client's Initial packets, put together over its datagrams.
struct QuicCrypto {
	std::string octets;
	std::string have;	   // 1 for each octet that is known
	std::string connection_id; // of the first packet: all keys come from it
};

// A datagram of a QUIC client: version and lengths of the connection ids (RFC 8999), and with `crypto` of
// versions 1 and 2 what the ClientHello says. `any` = on any port: only known versions are believed.
Decoded DecodeQuic(const uint8_t *data, size_t size, bool any, const NameFilter &name, QuicCrypto *crypto,
		   ApplicationText *text);

} // namespace tidegate

#endif
