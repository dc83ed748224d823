#include "address_mask.h"

#include <cstring>

namespace tidegate
{

namespace
{
constexpr size_t kAddressBits = 128, kMappedBits = 96;

uint64_t Rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

uint64_t Load64(const uint8_t *p)
{
	uint64_t v;

	std::memcpy(&v, p, sizeof(v));
	return v;
}

struct SipState {
	uint64_t v0, v1, v2, v3;

	void Round()
	{
		v0 += v1;
		v1 = Rotate(v1, 13) ^ v0;
		v0 = Rotate(v0, 32);
		v2 += v3;
		v3 = Rotate(v3, 16) ^ v2;
		v0 += v3;
		v3 = Rotate(v3, 21) ^ v0;
		v2 += v1;
		v1 = Rotate(v1, 17) ^ v2;
		v2 = Rotate(v2, 32);
	}
	void Absorb(uint64_t word)
	{
		v3 ^= word;
		Round();
		Round();
		v0 ^= word;
	}
};

bool IsMapped(const uint8_t *address)
{
	const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return !std::memcmp(address, prefix, sizeof(prefix));
}

// Clears everything after the first `bits` bits.
void KeepBits(uint8_t *address, size_t bits)
{
	for (size_t i = 0; i < 16; i++) {
		if (bits >= (i + 1) * 8)
			continue;
		address[i] &= bits <= i * 8 ? 0 : static_cast<uint8_t>(0xff << (8 - (bits - i * 8)));
	}
}
} // namespace

uint64_t SipHash24(const std::array<uint8_t, 16> &key, const uint8_t *data, size_t bytes)
{
	uint64_t k0 = Load64(key.data()), k1 = Load64(key.data() + 8);
	SipState s{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		   k1 ^ 0x7465646279746573};
	uint8_t last[8] = {};
	size_t whole = bytes / 8 * 8;

	for (size_t at = 0; at < whole; at += 8)
		s.Absorb(Load64(data + at));
	std::memcpy(last, data + whole, bytes - whole);
	last[7] = static_cast<uint8_t>(bytes);
	s.Absorb(Load64(last));
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		s.Round();
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

AddressMask::AddressMask(const AddressMaskOptions &options)
    : options_(options), remembered_(options.mode == AddressMode::Pseudonym ? kRemembered : 0)
{
}

// Crypto-PAn (Xu, Fan, Ammar, Moon 2002) with SipHash-2-4 in the place of AES: each bit is flipped by one bit
// of a keyed function of the bits before it. So it is one to one, and two addresses share as long a prefix as
// their pseudonyms do.
void AddressMask::Pseudonym(const uint8_t *address, size_t first_bit, uint8_t *into) const
{
	uint8_t prefix[17];

	std::memcpy(into, address, 16);
	for (size_t bit = first_bit; bit < kAddressBits; bit++) {
		std::memcpy(prefix, address, 16);
		KeepBits(prefix, bit);
		prefix[16] = static_cast<uint8_t>(bit);
		if (SipHash24(options_.key, prefix, sizeof(prefix)) & 1)
			into[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
	}
}

uint64_t AddressMask::FlowId(uint64_t id) const
{
	return plain() ? id : SipHash24(options_.key, reinterpret_cast<const uint8_t *>(&id), sizeof(id)) | 1;
}

void AddressMask::Apply(const uint8_t *address, uint8_t *into)
{
	const uint8_t none[16] = {};
	bool mapped = IsMapped(address);

	std::memcpy(into, address, 16);
	if (plain() || !std::memcmp(address, none, 16))
		return;
	if (options_.mode == AddressMode::Truncate) {
		KeepBits(into, mapped ? kMappedBits + options_.ipv4_prefix : options_.ipv6_prefix);
		return;
	}
	uint64_t hash = (Load64(address) ^ Load64(address + 8) * 0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93;
	Pair &pair = remembered_[hash >> 51];

	if (!pair.known || std::memcmp(pair.from.data(), address, 16)) {
		std::memcpy(pair.from.data(), address, 16);
		Pseudonym(address, mapped ? kMappedBits : 0, pair.to.data());
		pair.known = true;
	}
	std::memcpy(into, pair.to.data(), 16);
}

} // namespace tidegate
