// Where the fields of another version's structs lie, by the BTF that the kernel keeps with every map.
#ifndef TIDEGATE_BTF_FIELDS_H
#define TIDEGATE_BTF_FIELDS_H

#include <cstdint>
#include <memory>
#include <string>

struct btf;

namespace tidegate
{

struct BtfField {
	uint32_t offset = 0;  // octets from the struct's beginning
	uint32_t element = 0; // octets of one number; a struct counts as one element
	uint32_t count = 0;   // 1 for what is no array
};

class BtfFields
{
      public:
	// The BTF of a map's object; empty when the kernel has none for it.
	static BtfFields OfMap(int fd);

	// Octets of a struct, 0 when there is none of this name.
	uint32_t Size(const std::string &type) const;

	// A field by its path, such as "key.lower_port". False when the struct has none.
	bool Find(const std::string &type, const std::string &path, BtfField *field) const;

      private:
	struct Free {
		void operator()(btf *types) const;
	};
	std::unique_ptr<btf, Free> types_;
};

} // namespace tidegate

#endif
