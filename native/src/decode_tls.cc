// The ClientHello of TLS (RFC 8446 section 4.1.2) and its extensions server_name (RFC 6066), ALPN (RFC 7301).
#include <algorithm>
#include <vector>

#include "byte_reader.h"
#include "decode.h"
#include "ja4.h"

namespace tidegate
{

namespace
{
constexpr uint8_t kHandshake = 22, kClientHello = 1, kHostName = 0;
constexpr size_t kMaxHello = 16384, kMaxServerName = 255, kMaxProtocols = 255;
constexpr uint16_t kServerName = 0, kSignatureAlgorithms = 13, kAlpn = 16, kSupportedVersions = 43;

void ReadServerName(ByteReader extension, const NameFilter &name, ApplicationText *text)
{
	ByteReader list = extension.Part(extension.U16());

	while (list.ok() && list.left() > 0) {
		uint8_t type = list.U8();
		std::string_view host = list.Text(list.U16());

		if (!list.ok() || type != kHostName)
			continue;
		bool printable = std::all_of(host.begin(), host.end(),
					     [](unsigned char c) { return c > 0x20 && c < 0x7f; });

		if (!host.empty() && host.size() <= kMaxServerName && printable)
			text->Add(ApplicationField::TlsServerName, name(host));
		return;
	}
}

void ReadAlpn(ByteReader extension, std::string *first, ApplicationText *text)
{
	ByteReader list = extension.Part(extension.U16());
	std::string joined;

	while (list.ok() && list.left() > 0) {
		std::string_view protocol = list.Text(list.U8());

		if (!list.ok() || protocol.empty())
			break;
		if (first->empty())
			*first = protocol;
		bool printable = std::all_of(protocol.begin(), protocol.end(), [](unsigned char c) {
			return c > 0x20 && c < 0x7f && c != ',';
		});

		// GREASE protocols (RFC 8701) are not of the alphabet and say nothing.
		if (!printable || joined.size() + protocol.size() + 1 > kMaxProtocols)
			continue;
		if (!joined.empty())
			joined += ',';
		joined += protocol;
	}
	if (!joined.empty())
		text->Add(ApplicationField::TlsApplicationProtocols, joined);
}

void ReadU16List(ByteReader list, std::vector<uint16_t> *into)
{
	while (list.ok() && list.left() >= 2)
		into->push_back(list.U16());
}

void ReadExtensions(ByteReader extensions, const NameFilter &name, ClientHelloFacts *facts,
		    ApplicationText *text)
{
	while (extensions.ok() && extensions.left() > 0) {
		uint16_t type = extensions.U16();
		ByteReader extension = extensions.Part(extensions.U16());

		if (!extension.ok())
			return;
		facts->extensions.push_back(type);
		if (type == kServerName) {
			ReadServerName(extension, name, text);
		} else if (type == kAlpn) {
			ReadAlpn(extension, &facts->first_protocol, text);
		} else if (type == kSignatureAlgorithms) {
			ReadU16List(extension.Part(extension.U16()), &facts->signature_algorithms);
		} else if (type == kSupportedVersions) {
			ReadU16List(extension.Part(extension.U8()), &facts->supported_versions);
		}
	}
}
} // namespace

Decoded DecodeClientHello(const uint8_t *data, size_t size, char transport, const NameFilter &name,
			  ApplicationText *text)
{
	ByteReader reader(data, size);
	uint8_t type = reader.U8();
	uint32_t length = reader.U24();

	if (size > 0 && type != kClientHello)
		return Decoded::Foreign;
	if (!reader.ok())
		return Decoded::Incomplete;
	if (length > kMaxHello || length < 38)
		return Decoded::Foreign;
	bool whole = reader.left() >= length;
	ByteReader hello = reader.UpTo(length);
	ClientHelloFacts facts;

	facts.transport = transport;
	facts.version = hello.U16();
	if (hello.ok() && facts.version >> 8 != 3)
		return Decoded::Foreign;
	hello.Skip(32); // random
	hello.Skip(hello.U8());
	uint16_t ciphers = hello.U16();

	if (hello.ok() && ciphers % 2 != 0)
		return Decoded::Foreign;
	ReadU16List(hello.Part(ciphers), &facts.ciphers);
	hello.Skip(hello.U8()); // compression methods
	if (!hello.ok())
		return whole ? Decoded::Foreign : Decoded::Incomplete;
	if (hello.left() > 0) {
		uint16_t extensions = hello.U16();

		if (whole && extensions != hello.left())
			return Decoded::Foreign;
		ReadExtensions(hello.UpTo(extensions), name, &facts, text);
	}
	if (!whole)
		return Decoded::Incomplete;
	text->Add(ApplicationField::TlsJa4, Ja4(facts));
	return Decoded::Complete;
}

Decoded DecodeTls(const uint8_t *data, size_t size, const NameFilter &name, ApplicationText *text)
{
	ByteReader reader(data, size);
	std::string handshake;
	size_t wanted = 4;

	// A ClientHello may lie in several records.
	while (reader.ok() && reader.left() > 0 && handshake.size() < wanted) {
		uint8_t type = reader.U8();
		uint16_t version = reader.U16(), length = reader.U16();

		if (type != kHandshake || (reader.ok() && (version >> 8 != 3 || length == 0)))
			return Decoded::Foreign;
		if (!reader.ok())
			break;
		handshake += reader.Text(std::min<size_t>(length, reader.left()));
		if (handshake.size() >= 4) {
			const uint8_t *p = reinterpret_cast<const uint8_t *>(handshake.data());

			if (p[0] != kClientHello)
				return Decoded::Foreign;
			wanted = 4 + (static_cast<size_t>(p[1]) << 16 | p[2] << 8 | p[3]);
		}
	}
	return DecodeClientHello(reinterpret_cast<const uint8_t *>(handshake.data()), handshake.size(), 't',
				 name, text);
}

} // namespace tidegate
