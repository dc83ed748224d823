// What is done to addresses before anybody downstream sees them: nothing, cut to a prefix, or replaced by
// pseudonyms that keep common prefixes.
#ifndef TIDEGATE_ADDRESS_MASK_H
#define TIDEGATE_ADDRESS_MASK_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate
{

enum class AddressMode : uint8_t { Plain = 0, Truncate = 1, Pseudonym = 2 };

struct AddressMaskOptions {
	AddressMode mode = AddressMode::Plain;
	uint8_t ipv4_prefix = 32, ipv6_prefix = 128; // bits that Truncate keeps
	std::array<uint8_t, 16> key{};		     // of Pseudonym
};

class AddressMask
{
      public:
	explicit AddressMask(const AddressMaskOptions &options);

	bool plain() const { return options_.mode == AddressMode::Plain; }

	// From 16 octets to 16 octets; an IPv4-mapped address stays one, and the unspecified address (no
	// address) stays what it is.
	void Apply(const uint8_t *address, uint8_t *into);

	// A flow's id is made from its addresses: without the key it must not tell them either.
	uint64_t FlowId(uint64_t id) const;

      private:
	static constexpr size_t kRemembered = 1 << 13; // Apply() takes 13 bits of a hash

	struct Pair {
		std::array<uint8_t, 16> from, to;
		bool known;
	};
	void Pseudonym(const uint8_t *address, size_t first_bit, uint8_t *into) const;

	AddressMaskOptions options_;
	std::vector<Pair> remembered_; // by a hash of `from`
};

// SipHash-2-4 (Aumasson and Bernstein 2012).
uint64_t SipHash24(const std::array<uint8_t, 16> &key, const uint8_t *data, size_t bytes);

} // namespace tidegate

#endif
