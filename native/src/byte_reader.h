// Reads network octets that may be cut off or lie about their lengths: no read goes past the end, and after
// one that would have, ok() is false and everything reads as zero or empty.
#ifndef TIDEGATE_BYTE_READER_H
#define TIDEGATE_BYTE_READER_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate
{

class ByteReader
{
      public:
	ByteReader(const uint8_t *data, size_t size) : at_(data), left_(size) {}

	bool ok() const { return ok_; }
	size_t left() const { return left_; }
	const uint8_t *at() const { return at_; }

	uint8_t U8()
	{
		const uint8_t *p = Take(1);

		return p ? p[0] : 0;
	}
	uint16_t U16()
	{
		const uint8_t *p = Take(2);

		return p ? static_cast<uint16_t>(p[0] << 8 | p[1]) : 0;
	}
	uint32_t U24()
	{
		const uint8_t *p = Take(3);

		return p ? static_cast<uint32_t>(p[0]) << 16 | static_cast<uint32_t>(p[1]) << 8 | p[2] : 0;
	}
	uint32_t U32()
	{
		uint32_t high = U16();

		return high << 16 | U16();
	}
	// A variable-length integer of QUIC, RFC 9000 section 16.
	uint64_t VarInt()
	{
		uint8_t first = U8();
		uint64_t value = first & 0x3f;

		for (int more = (1 << (first >> 6)) - 1; more > 0; more--)
			value = value << 8 | U8();
		return ok_ ? value : 0;
	}
	void Skip(size_t count) { Take(count); }
	// The next `count` octets.
	ByteReader Part(size_t count)
	{
		const uint8_t *p = Take(count);
		ByteReader part(p, p ? count : 0);

		part.ok_ = p != nullptr;
		return part;
	}
	// The next `count` octets, or as many of them as there are.
	ByteReader UpTo(size_t count) { return Part(count < left_ ? count : left_); }
	std::string_view Text(size_t count)
	{
		const uint8_t *p = Take(count);

		return p ? std::string_view(reinterpret_cast<const char *>(p), count) : std::string_view();
	}

      private:
	const uint8_t *Take(size_t count)
	{
		if (!ok_ || count > left_) {
			ok_ = false;
			return nullptr;
		}
		const uint8_t *p = at_;

		at_ += count;
		left_ -= count;
		return p;
	}

	const uint8_t *at_;
	size_t left_;
	bool ok_ = true;
};

} // namespace tidegate

#endif
