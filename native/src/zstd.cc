// Zstandard off the event loop: Node 20 has none of its own, and the store's backlog is worth a third of its
// disk.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <zstd.h>

#include "addon.h"
#include "promise_worker.h"

namespace
{

// One call of libzstd on a thread of libuv's pool. The input is referenced, not copied, until the promise
// settles.
class ZstdWork
{
      public:
	// Compresses at a level from 1 on; level 0 takes apart what holds at most `limit` octets.
	ZstdWork(Napi::Uint8Array input, int level, size_t limit)
	    : input_(Napi::Persistent(input)), data_(input.Data()), size_(input.ByteLength()), level_(level),
	      limit_(limit)
	{
	}

	std::string Run() { return level_ > 0 ? Compress() : Decompress(); }

	Napi::Value Result(Napi::Env env)
	{
		auto *output = new std::vector<uint8_t>(std::move(output_));

		return Napi::Buffer<uint8_t>::New(
		    env, output->data(), output->size(),
		    [](Napi::Env, uint8_t *, std::vector<uint8_t> *owner) { delete owner; }, output);
	}

      private:
	std::string Compress()
	{
		output_.resize(ZSTD_compressBound(size_));
		return Finish(ZSTD_compress(output_.data(), output_.size(), data_, size_, level_));
	}

	std::string Decompress()
	{
		const unsigned long long size = ZSTD_getFrameContentSize(data_, size_);

		if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > limit_)
			return "not a zstd frame of a size that can be true";
		output_.resize(size);
		return Finish(ZSTD_decompress(output_.data(), output_.size(), data_, size_));
	}

	std::string Finish(size_t result)
	{
		if (ZSTD_isError(result))
			return ZSTD_getErrorName(result);
		output_.resize(result);
		return "";
	}

	Napi::Reference<Napi::Uint8Array> input_;
	const uint8_t *data_;
	size_t size_;
	int level_;
	size_t limit_;
	std::vector<uint8_t> output_;
};

Napi::Value Run(const Napi::CallbackInfo &info, int level, size_t limit)
{
	if (info.Length() < 1 || !info[0].IsTypedArray() ||
	    info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
		Napi::TypeError::New(info.Env(), "octets expected").ThrowAsJavaScriptException();
		return info.Env().Undefined();
	}
	return tidegate::PromiseWorker<ZstdWork>::Queue(
	    info.Env(), std::make_unique<ZstdWork>(info[0].As<Napi::Uint8Array>(), level, limit));
}

// zstdCompress(octets, level 1..19): Promise<Buffer>, one frame that names its content's size.
Napi::Value Compress(const Napi::CallbackInfo &info)
{
	const int level =
	    info.Length() > 1 && info[1].IsNumber() ? info[1].As<Napi::Number>().Int32Value() : 1;

	return Run(info, level < 1 ? 1 : level > 19 ? 19 : level, 0);
}

// zstdDecompress(octets, limit): Promise<Buffer>; rejects what is not one frame, or holds more than limit
// octets.
Napi::Value Decompress(const Napi::CallbackInfo &info)
{
	const double limit =
	    info.Length() > 1 && info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : 0;

	return Run(info, 0, limit > 0 ? static_cast<size_t>(limit) : 0);
}

} // namespace

namespace tidegate
{

void InitZstd(Napi::Env env, Napi::Object exports)
{
	exports.Set("zstdCompress", Napi::Function::New(env, Compress));
	exports.Set("zstdDecompress", Napi::Function::New(env, Decompress));
}

} // namespace tidegate
