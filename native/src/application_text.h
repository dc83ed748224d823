// What is known of a flow's application, as octets: a list of {field (1), length (2, little-endian), value}.
// That is how it lies with the flow, in a batch's text area, and how src/flow/application.ts reads it.
#ifndef TIDEGATE_APPLICATION_TEXT_H
#define TIDEGATE_APPLICATION_TEXT_H

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate
{

// The same numbers as APPLICATION_FIELDS of src/flow/application.ts; a test compares them.
enum class ApplicationField : uint8_t {
	TlsServerName = 1,
	TlsApplicationProtocols = 2,
	TlsJa4 = 3,
	HttpRequestMethod = 4,
	HttpRequestHost = 5,
	DnsQName = 6,
	QuicVersion = 7,		       // 4 octets, little-endian
	QuicDestinationConnectionIdLength = 8, // 1 octet
	QuicSourceConnectionIdLength = 9,      // 1 octet
	HeaderField = 10, // length of the rule's name (1), name, octets; once for each rule
};

// A flow carries no more than this; what does not fit is left out.
constexpr size_t kMaxApplicationText = 2048;

class ApplicationText
{
      public:
	bool Has(ApplicationField field) const
	{
		for (size_t at = 0; at + 3 <= octets_.size(); at += 3 + LengthAt(at)) {
			if (octets_[at] == static_cast<char>(field))
				return true;
		}
		return false;
	}
	// False when there is no room. A field that is there already stays as it is, but for HeaderField.
	bool Add(ApplicationField field, std::string_view value)
	{
		if (field != ApplicationField::HeaderField && Has(field))
			return true;
		if (octets_.size() + 3 + value.size() > kMaxApplicationText)
			return false;
		octets_ += static_cast<char>(field);
		octets_ += static_cast<char>(value.size());
		octets_ += static_cast<char>(value.size() >> 8);
		octets_ += value;
		return true;
	}
	bool empty() const { return octets_.empty(); }
	const std::string &octets() const { return octets_; }

      private:
	size_t LengthAt(size_t at) const
	{
		return static_cast<uint8_t>(octets_[at + 1]) |
		       static_cast<size_t>(static_cast<uint8_t>(octets_[at + 2])) << 8;
	}

	std::string octets_;
};

} // namespace tidegate

#endif
