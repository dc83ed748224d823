// A kernel or libbpf failure as a JavaScript error {operation, errno, log}.
#ifndef TIDEGATE_BPF_ERROR_H
#define TIDEGATE_BPF_ERROR_H

#include <cstring>
#include <napi.h>

#include "loader.h"

namespace tidegate
{

inline void ThrowBpfError(Napi::Env env, const BpfError &failure)
{
	Napi::Error error = Napi::Error::New(env, failure.operation + ": " + strerror(failure.error));

	error.Set("operation", Napi::String::New(env, failure.operation));
	error.Set("errno", Napi::Number::New(env, failure.error));
	error.Set("log", Napi::String::New(env, failure.log));
	error.ThrowAsJavaScriptException();
}

} // namespace tidegate

#endif
