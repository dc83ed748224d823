#include "btf_fields.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

namespace tidegate
{

namespace
{
// Without typedefs, const, volatile and type tags.
uint32_t Plain(const btf *types, uint32_t id)
{
	int plain = btf__resolve_type(types, id);

	return plain < 0 ? 0 : static_cast<uint32_t>(plain);
}

const btf_member *MemberNamed(const btf *types, uint32_t id, const std::string &name)
{
	const btf_type *type = btf__type_by_id(types, id);

	if (!type || !btf_is_composite(type))
		return nullptr;
	for (int i = 0; i < btf_vlen(type); i++) {
		const btf_member *member = btf_members(type) + i;

		if (name == btf__name_by_offset(types, member->name_off))
			return member;
	}
	return nullptr;
}
} // namespace

void BtfFields::Free::operator()(btf *types) const
{
	btf__free(types);
}

BtfFields BtfFields::OfMap(int fd)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	BtfFields fields;

	if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && info.btf_id != 0)
		fields.types_.reset(btf__load_from_kernel_by_id(info.btf_id));
	return fields;
}

uint32_t BtfFields::Size(const std::string &type) const
{
	int id = types_ ? btf__find_by_name_kind(types_.get(), type.c_str(), BTF_KIND_STRUCT) : -1;

	return id < 0 ? 0 : btf__type_by_id(types_.get(), static_cast<uint32_t>(id))->size;
}

bool BtfFields::Find(const std::string &type, const std::string &path, BtfField *field) const
{
	int found = types_ ? btf__find_by_name_kind(types_.get(), type.c_str(), BTF_KIND_STRUCT) : -1;
	uint32_t id = found < 0 ? 0 : static_cast<uint32_t>(found);

	*field = {};
	for (size_t at = 0; id != 0;) {
		size_t dot = path.find('.', at);
		const btf_member *member = MemberNamed(types_.get(), id, path.substr(at, dot - at));

		if (!member)
			return false;
		field->offset += member->offset / 8;
		id = Plain(types_.get(), member->type);
		if (dot == std::string::npos)
			break;
		at = dot + 1;
	}
	const btf_type *last = id ? btf__type_by_id(types_.get(), id) : nullptr;

	if (!last)
		return false;
	field->count = 1;
	// Of several dimensions all elements count.
	while (btf_is_array(last)) {
		field->count *= btf_array(last)->nelems;
		last = btf__type_by_id(types_.get(), Plain(types_.get(), btf_array(last)->type));
		if (!last)
			return false;
	}
	field->element = last->size;
	return field->element != 0;
}

} // namespace tidegate
