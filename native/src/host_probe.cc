// What the kernel says of this host that no file tells.
#include <cerrno>
#include <sys/timex.h>

#include "addon.h"
#include "bpf_error.h"

namespace tidegate
{

namespace
{
// clockState() -> {synchronised, maximumErrorSeconds} of the wall clock (adjtimex(2)): whoever keeps it, NTP
// or PTP, has to tell the kernel.
Napi::Value ClockState(const Napi::CallbackInfo &info)
{
	struct timex clock = {};
	int state = adjtimex(&clock);

	if (state < 0) {
		ThrowBpfError(info.Env(), BpfError{errno, "read the state of the clock", ""});
		return info.Env().Undefined();
	}
	Napi::Object result = Napi::Object::New(info.Env());

	result.Set("synchronised", state != TIME_ERROR && !(clock.status & STA_UNSYNC));
	result.Set("maximumErrorSeconds", static_cast<double>(clock.maxerror) / 1e6);
	return result;
}
} // namespace

void InitHostProbe(Napi::Env env, Napi::Object exports)
{
	exports.Set("clockState", Napi::Function::New(env, ClockState, "clockState"));
}

} // namespace tidegate
