// The options and counters of a kernel datapath as JavaScript hands them over and gets them.
#ifndef TIDEGATE_CAPTURE_VALUES_H
#define TIDEGATE_CAPTURE_VALUES_H

#include <napi.h>

#include "capture.h"
#include "loader.h"

namespace tidegate
{

LoaderOptions GatewayOptions(const Napi::Object &options);
CaptureOptions ReaderOptions(const Napi::Object &options);

// One flat object of numbers, see CaptureCounters in src/capture/bpf.ts; `scan` says whether what was scanned
// is there.
Napi::Object CaptureCountersObject(Napi::Env env, const CaptureCounters &counters, bool scan);

} // namespace tidegate

#endif
