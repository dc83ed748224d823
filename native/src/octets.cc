// Octets from many places into one: V8 copies out of shared memory octet by octet where source and target are
// not aligned alike, which costs more than all else that is done to make a block.

#include <cstdint>
#include <cstring>

#include <sys/mman.h>

#include "addon.h"

namespace
{

constexpr uintptr_t kHugePage = 2 << 20;

// A block is written once, right after its memory came from the kernel: by huge pages that is one page fault
// where it would be 512. Best effort.
void UseHugePages(uint8_t *data, size_t size)
{
	const uintptr_t first = (reinterpret_cast<uintptr_t>(data) + kHugePage - 1) & ~(kHugePage - 1);
	const uintptr_t last = (reinterpret_cast<uintptr_t>(data) + size) & ~(kHugePage - 1);

	if (last > first)
		madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE);
}

bool IsOctets(const Napi::Value &value)
{
	return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

// joinOctets(target, parts): copies the parts one behind the other to the begin of target, and says how many
// octets that were. Throws when they are not octets, or more than target holds.
Napi::Value JoinOctets(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();

	if (info.Length() < 2 || !IsOctets(info[0]) || !info[1].IsArray()) {
		Napi::TypeError::New(env, "octets and a list of octets expected")
		    .ThrowAsJavaScriptException();
		return env.Undefined();
	}
	auto target = info[0].As<Napi::Uint8Array>();
	auto parts = info[1].As<Napi::Array>();
	uint8_t *const data = target.Data();
	const size_t room = target.ByteLength();
	size_t at = 0;

	UseHugePages(data, room);
	for (uint32_t i = 0; i < parts.Length(); i++) {
		Napi::HandleScope scope(env);
		const Napi::Value value = parts[i];

		if (!IsOctets(value)) {
			Napi::TypeError::New(env, "octets expected").ThrowAsJavaScriptException();
			return env.Undefined();
		}
		auto part = value.As<Napi::Uint8Array>();
		const size_t size = part.ByteLength();

		if (size > room - at) {
			Napi::RangeError::New(env, "more octets than there is room for")
			    .ThrowAsJavaScriptException();
			return env.Undefined();
		}
		if (size > 0)
			memcpy(data + at, part.Data(), size);
		at += size;
	}
	return Napi::Number::New(env, static_cast<double>(at));
}

} // namespace

namespace tidegate
{

void InitOctets(Napi::Env env, Napi::Object exports)
{
	exports.Set("joinOctets", Napi::Function::New(env, JoinOctets));
}

} // namespace tidegate
