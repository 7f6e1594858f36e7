// One source, every instruction set. A kernel file is compiled once per target with KINETOK_TARGET naming it (the code
// between KINETOK_KERNEL_BEGIN and KINETOK_KERNEL_END lands in namespace kinetok::<target>), and once without a target:
// that object holds the public functions, which call the target of the Context.
//
//   #include "kinetok/kernels/cpu/dispatch.h"
//   #ifdef KINETOK_TARGET
//   #include "kinetok/kernels/cpu/simd.h"
//   namespace kinetok::KINETOK_TARGET {
//   void RmsNorm(Context& c, Rows<const float> x, ...) { ... 16-lane code ... }
//   }
//   #else
//   namespace kinetok {
//   KINETOK_DECLARE(void, RmsNorm, (Context & c, Rows<const float> x, ...))
//   void RmsNorm(Context& c, Rows<const float> x, ...) { KINETOK_CALL(RmsNorm, c, x, ...); }
//   }
//   #endif
//
// Code between #ifdef and #else is compiled with instructions that the machine may lack, so nothing in it may leave a
// function behind that other objects could link to: everything lives in the target's namespace or is a lambda, and the
// standard library is kept to what inlines (tests/isa_symbols.sh checks the objects).
#pragma once

#include "kinetok/kernels/context.h"

#if defined(__x86_64__)
#define KINETOK_DECLARE(result, name, parameters) \
  namespace portable {                            \
  result name parameters;                         \
  }                                               \
  namespace portable_fma {                        \
  result name parameters;                         \
  }                                               \
  namespace avx2 {                                \
  result name parameters;                         \
  }                                               \
  namespace avx512 {                              \
  result name parameters;                         \
  }
#define KINETOK_CALL(name, context, ...)               \
  switch ((context).isa()) {                           \
    case Isa::kAvx512:                                 \
      return avx512::name(context, __VA_ARGS__);       \
    case Isa::kAvx2:                                   \
      return avx2::name(context, __VA_ARGS__);         \
    case Isa::kPortableFma:                            \
      return portable_fma::name(context, __VA_ARGS__); \
    case Isa::kPortable:                               \
      break;                                           \
  }                                                    \
  return portable::name(context, __VA_ARGS__)
#else
#define KINETOK_DECLARE(result, name, parameters) \
  namespace portable {                            \
  result name parameters;                         \
  }
#define KINETOK_CALL(name, context, ...) return portable::name(context, __VA_ARGS__)
#endif
