// Long headers of QUIC: what every version has (RFC 8999), and the ClientHello in the Initial packets of
// versions 1 and 2 (RFC 9001 section 5, RFC 9369), whose keys anybody can compute.
#include <algorithm>
#include <array>
#include <cstring>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "byte_reader.h"
#include "decode.h"

namespace tidegate
{

namespace
{
constexpr uint32_t kVersion1 = 1, kVersion2 = 0x6b3343cf;
constexpr size_t kKey = 16, kIv = 12, kTag = 16, kSample = 16, kSecret = 32;
constexpr size_t kMaxConnectionId = 20; // of version 1 and 2
constexpr size_t kMaxCrypto = 8192;
constexpr size_t kSmallestInitial = 1200; // a client pads its first datagrams to this

using Secret = std::array<uint8_t, kSecret>;

constexpr uint8_t kSalt1[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
				0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
constexpr uint8_t kSalt2[20] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
				0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};

Secret Hmac(const uint8_t *key, size_t key_bytes, const std::string &message)
{
	Secret result{};
	unsigned int bytes = 0;

	HMAC(EVP_sha256(), key, static_cast<int>(key_bytes),
	     reinterpret_cast<const unsigned char *>(message.data()), message.size(), result.data(), &bytes);
	return result;
}

// HKDF-Expand-Label (RFC 8446 section 7.1) of at most one block.
Secret Expand(const Secret &secret, std::string_view label, size_t bytes)
{
	std::string info = {0, static_cast<char>(bytes)};
	std::string full = "tls13 " + std::string(label);

	info += static_cast<char>(full.size());
	info += full;
	info += '\0';	// no context
	info += '\x01'; // the first block
	return Hmac(secret.data(), secret.size(), info);
}

struct Keys {
	Secret key, iv, mask;
};

Keys ClientKeys(uint32_t version, const std::string &connection_id)
{
	bool second = version == kVersion2;
	Secret initial = Hmac(second ? kSalt2 : kSalt1, sizeof(kSalt1), connection_id);
	Secret client = Expand(initial, "client in", kSecret);

	return {Expand(client, second ? "quicv2 key" : "quic key", kKey),
		Expand(client, second ? "quicv2 iv" : "quic iv", kIv),
		Expand(client, second ? "quicv2 hp" : "quic hp", kKey)};
}

class Cipher
{
      public:
	Cipher() : context_(EVP_CIPHER_CTX_new()) {}
	~Cipher() { EVP_CIPHER_CTX_free(context_); }
	Cipher(const Cipher &) = delete;
	Cipher &operator=(const Cipher &) = delete;
	EVP_CIPHER_CTX *get() const { return context_; }

      private:
	EVP_CIPHER_CTX *context_;
};

// The five octets that header protection takes from a sample, RFC 9001 section 5.4.3.
bool HeaderMask(const Secret &key, const uint8_t *sample, uint8_t *mask)
{
	Cipher cipher;
	int bytes = 0;

	return EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr) == 1 &&
	       EVP_EncryptUpdate(cipher.get(), mask, &bytes, sample, kSample) == 1;
}

// AEAD_AES_128_GCM; false when the tag is wrong.
bool Open(const Keys &keys, const uint8_t *nonce, const std::string &header, const uint8_t *sealed,
	  size_t bytes, std::string *plain)
{
	Cipher cipher;
	int written = 0, rest = 0;

	plain->resize(bytes - kTag);
	unsigned char *out = reinterpret_cast<unsigned char *>(plain->data());

	return EVP_DecryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, keys.key.data(), nonce) == 1 &&
	       EVP_DecryptUpdate(cipher.get(), nullptr, &written,
				 reinterpret_cast<const unsigned char *>(header.data()),
				 static_cast<int>(header.size())) == 1 &&
	       EVP_DecryptUpdate(cipher.get(), out, &written, sealed, static_cast<int>(bytes - kTag)) == 1 &&
	       EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag,
				   const_cast<uint8_t *>(sealed + bytes - kTag)) == 1 &&
	       EVP_DecryptFinal_ex(cipher.get(), out + written, &rest) == 1;
}

void Place(uint64_t offset, std::string_view octets, QuicCrypto *crypto)
{
	if (offset > kMaxCrypto || octets.size() > kMaxCrypto - offset)
		return;
	size_t end = static_cast<size_t>(offset) + octets.size();

	if (crypto->octets.size() < end) {
		crypto->octets.resize(end);
		crypto->have.resize(end);
	}
	std::copy(octets.begin(), octets.end(), crypto->octets.begin() + static_cast<ptrdiff_t>(offset));
	std::fill_n(crypto->have.begin() + static_cast<ptrdiff_t>(offset), octets.size(), 1);
}

// Frames of an Initial packet, RFC 9000 section 17.2.2: PADDING, PING, ACK, CRYPTO, CONNECTION_CLOSE.
void ReadFrames(const std::string &plain, QuicCrypto *crypto)
{
	ByteReader frames(reinterpret_cast<const uint8_t *>(plain.data()), plain.size());

	while (frames.ok() && frames.left() > 0) {
		uint64_t type = frames.VarInt();

		if (type <= 1)
			continue;
		if (type == 2 || type == 3) {
			frames.VarInt();
			frames.VarInt();
			uint64_t ranges = frames.VarInt();

			frames.VarInt();
			for (uint64_t i = 0; i < ranges && frames.ok(); i++) {
				frames.VarInt();
				frames.VarInt();
			}
			for (int i = 0; type == 3 && i < 3; i++)
				frames.VarInt();
		} else if (type == 6) {
			uint64_t offset = frames.VarInt(), length = frames.VarInt();

			if (length > frames.left())
				return;
			Place(offset, frames.Text(static_cast<size_t>(length)), crypto);
		} else {
			return;
		}
	}
}

// `packet` begins at its first octet, `number` is where its packet number is, `length` what follows from
// there.
void ReadInitial(const uint8_t *packet, size_t number, size_t length, uint32_t version, QuicCrypto *crypto)
{
	if (length < 4 + kSample)
		return;
	Keys keys = ClientKeys(version, crypto->connection_id);
	uint8_t mask[kSample + 16];

	if (!HeaderMask(keys.mask, packet + number + 4, mask))
		return;
	uint8_t first = packet[0] ^ (mask[0] & 0x0f);
	size_t number_bytes = (first & 3) + 1u;
	std::string header(reinterpret_cast<const char *>(packet), number + number_bytes), plain;

	header[0] = static_cast<char>(first);
	uint8_t nonce[kIv];

	std::memcpy(nonce, keys.iv.data(), kIv);
	for (size_t i = 0; i < number_bytes; i++) {
		header[number + i] = static_cast<char>(packet[number + i] ^ mask[1 + i]);
		nonce[kIv - number_bytes + i] ^= static_cast<uint8_t>(header[number + i]);
	}
	if (length < number_bytes + kTag)
		return;
	if (Open(keys, nonce, header, packet + number + number_bytes, length - number_bytes, &plain))
		ReadFrames(plain, crypto);
}

size_t Prefix(const QuicCrypto &crypto)
{
	size_t known = crypto.have.find('\0');

	return known == std::string::npos ? crypto.have.size() : known;
}

bool IsKnownVersion(uint32_t version)
{
	return version == kVersion1 || version == kVersion2 || version >> 8 == 0xff0000 || // IETF drafts
	       (version >> 24 == 'Q' && (version >> 16 & 0xff) == '0') ||		   // Google's
	       (version >> 24 == 'T' && (version >> 16 & 0xff) == '0') ||
	       version >> 4 == 0xfaceb00; // Facebook's
}

void AddNumber(ApplicationField field, uint32_t value, size_t bytes, ApplicationText *text)
{
	char octets[4] = {static_cast<char>(value), static_cast<char>(value >> 8),
			  static_cast<char>(value >> 16), static_cast<char>(value >> 24)};

	text->Add(field, {octets, bytes});
}
} // namespace

Decoded DecodeQuic(const uint8_t *data, size_t size, bool any, const NameFilter &name, QuicCrypto *crypto,
		   ApplicationText *text)
{
	ByteReader datagram(data, size);
	bool hello = false;

	// Several packets may share a datagram.
	while (datagram.left() > 0) {
		const uint8_t *packet = datagram.at();
		uint8_t first = datagram.U8();
		uint32_t version = datagram.U32();
		std::string_view destination = datagram.Text(datagram.U8()),
				 source = datagram.Text(datagram.U8());

		if (!(first & 0x80) || !datagram.ok())
			break;
		// Version 0 is a server's offer, not a client's packet.
		if (version == 0 || (any && !IsKnownVersion(version)))
			break;
		bool readable = version == kVersion1 || version == kVersion2;

		if (readable && (!(first & 0x40) || destination.size() > kMaxConnectionId ||
				 source.size() > kMaxConnectionId))
			break;
		if (any && size < kSmallestInitial && !text->Has(ApplicationField::QuicVersion))
			break;
		AddNumber(ApplicationField::QuicVersion, version, 4, text);
		AddNumber(ApplicationField::QuicDestinationConnectionIdLength,
			  static_cast<uint32_t>(destination.size()), 1, text);
		AddNumber(ApplicationField::QuicSourceConnectionIdLength,
			  static_cast<uint32_t>(source.size()), 1, text);
		if (!readable || !crypto)
			return Decoded::Complete;
		hello = true;
		if (crypto->connection_id.empty())
			crypto->connection_id = destination;
		bool initial = (first >> 4 & 3) == (version == kVersion1 ? 0 : 1);

		if (initial) {
			uint64_t token = datagram.VarInt();

			if (token > datagram.left())
				break;
			datagram.Skip(static_cast<size_t>(token));
		}
		uint64_t length = datagram.VarInt();

		if (!datagram.ok() || length > datagram.left())
			break;
		if (initial)
			ReadInitial(packet, static_cast<size_t>(datagram.at() - packet),
				    static_cast<size_t>(length), version, crypto);
		datagram.Skip(static_cast<size_t>(length));
	}
	if (!hello)
		return text->Has(ApplicationField::QuicVersion) ? Decoded::Incomplete : Decoded::Foreign;
	if (DecodeClientHello(reinterpret_cast<const uint8_t *>(crypto->octets.data()), Prefix(*crypto), 'q',
			      name, text) == Decoded::Complete)
		return Decoded::Complete;
	return Decoded::Incomplete;
}

} // namespace tidegate
