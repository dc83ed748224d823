#ifndef TIDEGATE_ADDON_H
#define TIDEGATE_ADDON_H

#include <napi.h>

namespace tidegate
{

void InitApplications(Napi::Env env, Napi::Object exports);
void InitCapture(Napi::Env env, Napi::Object exports);
void InitInterfaceProbe(Napi::Env env, Napi::Object exports);
void InitKernelMeter(Napi::Env env, Napi::Object exports);
void InitFlood(Napi::Env env, Napi::Object exports);
void InitFrameRun(Napi::Env env, Napi::Object exports);
void InitHostProbe(Napi::Env env, Napi::Object exports);
void InitOctets(Napi::Env env, Napi::Object exports);
void InitPacketBench(Napi::Env env, Napi::Object exports);
void InitPrivileges(Napi::Env env, Napi::Object exports);
void InitReplay(Napi::Env env, Napi::Object exports);
void InitRingBench(Napi::Env env, Napi::Object exports);
void InitUserMeter(Napi::Env env, Napi::Object exports);
void InitZstd(Napi::Env env, Napi::Object exports);

} // namespace tidegate

#endif
