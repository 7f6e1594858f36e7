#include "kinetok/kernels/context.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

#if defined(__x86_64__)
// clang 14's __builtin_cpu_supports does not know "f16c": bit 29 of ECX of leaf 1. That the kernel saves the wide
// registers, which F16C needs too, is what "avx2" beside it says.
bool HasF16c() {
  unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kPortableFma:
      return "portable-fma";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  KINETOK_CHECK(false);
  return "";
}

bool IsaSupported(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kPortableFma:
      return __builtin_cpu_supports("avx") != 0 && __builtin_cpu_supports("fma") != 0;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && HasF16c() &&
             __builtin_cpu_supports("bmi2") != 0;
    case Isa::kAvx512:
      return IsaSupported(Isa::kAvx2) && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0;
  }
  return false;
#else
  return isa == Isa::kPortable;
#endif
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> out;
  for (const Isa isa : {Isa::kPortable, Isa::kPortableFma, Isa::kAvx2, Isa::kAvx512}) {
    if (IsaSupported(isa)) out.push_back(isa);
  }
  return out;
}

Isa BestIsa() {
  return SupportedIsas().back();
}

Isa ParseIsa(std::string_view name) {
  if (name == "auto") return BestIsa();
  if (name == "portable") return IsaSupported(Isa::kPortableFma) ? Isa::kPortableFma : Isa::kPortable;
  if (name == "portable-baseline") return Isa::kPortable;
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (name != IsaName(isa)) continue;
    if (!IsaSupported(isa)) Fail("--isa is {}, which this CPU does not have; it has {}", name, IsaName(BestIsa()));
    return isa;
  }
  Fail("--isa is \"{}\"; it must be auto, portable, avx2 or avx512", name);
}

Context::Context(int threads, Isa isa) : pool_(threads), isa_(isa), scratch_(pool_.threads()) {
  KINETOK_CHECK(IsaSupported(isa));
}

Context::Context(ContextOptions options)
    : Context(options.threads == 0 ? AvailableCores() : options.threads, ParseIsa(options.isa)) {}

std::span<std::byte> Context::Scratch(int worker, int64_t bytes) {
  Buffer& buffer = scratch_[worker];
  if (buffer.bytes() < bytes) buffer = Buffer(RoundUp(bytes, 65536));
  return buffer.As<std::byte>();
}

std::span<std::byte> Context::SharedScratch(int64_t bytes) {
  if (shared_scratch_.bytes() < bytes) shared_scratch_ = Buffer(RoundUp(bytes, 65536));
  return shared_scratch_.As<std::byte>();
}

}  // namespace kinetok
