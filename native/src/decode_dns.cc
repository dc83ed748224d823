// The first question of a DNS message, RFC 1035 section 4.
#include <cstdio>

#include "byte_reader.h"
#include "decode.h"

namespace tidegate
{

namespace
{
constexpr size_t kHeader = 12, kMaxName = 255;
constexpr uint16_t kReserved = 0x0040; // the Z bit that is left, RFC 6895

// A name as master files write it (RFC 1035 section 5.1): a dot between labels, odd octets as \DDD, "." for
// the root. False when it is none.
bool ReadName(ByteReader *from, std::string *name)
{
	size_t octets = 0;

	for (;;) {
		uint8_t length = from->U8();

		if (!from->ok() || length > 63) // a pointer has nothing before it to point at
			return false;
		octets += length + 1u;
		if (octets > kMaxName)
			return false;
		if (length == 0)
			break;
		if (!name->empty())
			*name += '.';
		for (unsigned char c : from->Text(length)) {
			char escaped[5];

			if (c == '.' || c == '\\') {
				*name += '\\';
				*name += static_cast<char>(c);
			} else if (c > 0x20 && c < 0x7f) {
				*name += static_cast<char>(c);
			} else {
				std::snprintf(escaped, sizeof(escaped), "\\%03u", c);
				*name += escaped;
			}
		}
		if (!from->ok())
			return false;
	}
	if (name->empty())
		*name = ".";
	return true;
}
} // namespace

Decoded DecodeDns(const uint8_t *data, size_t size, bool stream, const NameFilter &name,
		  ApplicationText *text)
{
	ByteReader message(data, size);
	bool whole = true;

	if (stream) {
		uint16_t length = message.U16();

		if (!message.ok())
			return Decoded::Incomplete;
		if (length < kHeader)
			return Decoded::Foreign;
		whole = message.left() >= length;
		message = message.UpTo(length);
	}
	if (message.left() < kHeader)
		return stream && !whole ? Decoded::Incomplete : Decoded::Foreign;
	message.Skip(2);
	uint16_t flags = message.U16(), questions = message.U16(), answers = message.U16(),
		 authorities = message.U16(), additional = message.U16();
	uint16_t opcode = flags >> 11 & 15;

	// Enough that hardly anything else passes: the codes that are assigned, counts that a message can
	// hold.
	if ((flags & kReserved) || opcode > 6 || opcode == 3 || questions != 1 || additional > 64 ||
	    (!(flags & 0x8000) && (answers > 64 || authorities > 64)))
		return Decoded::Foreign;
	std::string question;

	if (!ReadName(&message, &question))
		return !message.ok() && !whole ? Decoded::Incomplete : Decoded::Foreign;
	message.U16();
	uint16_t group = message.U16() & 0x7fff; // the top bit is mDNS's wish for a unicast answer

	if (!message.ok())
		return whole ? Decoded::Foreign : Decoded::Incomplete;
	if (group == 0 || (group > 4 && group < 254)) // RFC 6895 section 3.2
		return Decoded::Foreign;
	text->Add(ApplicationField::DnsQName, name(question));
	return Decoded::Complete;
}

} // namespace tidegate
