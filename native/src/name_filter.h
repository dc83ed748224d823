// What becomes of host and query names before they are kept: the same as of addresses (address_mask.h).
#ifndef TIDEGATE_NAME_FILTER_H
#define TIDEGATE_NAME_FILTER_H

#include <string>
#include <string_view>

#include "address_mask.h"

namespace tidegate
{

class NameMask
{
      public:
	explicit NameMask(const AddressMaskOptions &options);

	// Plain: the name. Truncate: its last two labels, `*.` in front of them where there were more.
	// Pseudonym: each label by 13 characters of a keyed function of it and all labels after it, so that
	// names of one domain still end alike. An address in the place of a name is masked as an address; a
	// port behind it stays.
	std::string Apply(std::string_view name);

      private:
	std::string Address(std::string_view text, bool *is_address);

	AddressMaskOptions options_;
	AddressMask addresses_;
};

} // namespace tidegate

#endif
