// Sixteen virtual lanes, whatever the machine has: one 512-bit register, two 256-bit ones, or a plain array. Included
// only by kernel code compiled for a target (dispatch.h). Every operation is IEEE-754 single precision, rounds to
// nearest and gives the same bits on every target; Fma is always fused; Max/Min return `b` when either is NaN.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(KINETOK_TARGET_avx512) || defined(KINETOK_TARGET_avx2)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 sees _mm512_undefined_ps() in its own header
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#define KINETOK_INLINE inline __attribute__((always_inline))

namespace kinetok::KINETOK_TARGET {

inline constexpr int kLanes = 16;

// Asks for the cache line at `p`, which may lie outside any object.
KINETOK_INLINE void Prefetch(const void* p) {
  __builtin_prefetch(p, 0, 3);
}

}  // namespace kinetok::KINETOK_TARGET

#if defined(KINETOK_TARGET_avx512)
#include "kinetok/kernels/cpu/simd_avx512.h"
#elif defined(KINETOK_TARGET_avx2)
#include "kinetok/kernels/cpu/simd_avx2.h"
#else
#include "kinetok/kernels/cpu/simd_portable.h"
#endif

namespace kinetok::KINETOK_TARGET {

// The fixed trees of every reduction: lanes i and i + 8, then + 4, + 2, + 1.
KINETOK_INLINE float ReduceSum(F32x16 a) {
  float t[16];
  Store(t, a);
  for (int i = 0; i < 8; ++i) t[i] += t[i + 8];
  for (int i = 0; i < 4; ++i) t[i] += t[i + 4];
  return (t[0] + t[2]) + (t[1] + t[3]);
}
KINETOK_INLINE float ReduceMax(F32x16 a) {
  float t[16];
  Store(t, a);
  for (int i = 0; i < 8; ++i) t[i] = t[i] > t[i + 8] ? t[i] : t[i + 8];
  for (int i = 0; i < 4; ++i) t[i] = t[i] > t[i + 4] ? t[i] : t[i + 4];
  const float a0 = t[0] > t[2] ? t[0] : t[2], a1 = t[1] > t[3] ? t[1] : t[3];
  return a0 > a1 ? a0 : a1;
}

KINETOK_INLINE F32x16 Neg(F32x16 a) {
  return FromBits(Xor(BitsOf(a), SetI(INT32_MIN)));
}
KINETOK_INLINE F32x16 Abs(F32x16 a) {
  return FromBits(And(BitsOf(a), SetI(INT32_MAX)));
}

// Writes out[k * 16 + i] = rows[i][k] for k in [0, n), n <= 16: sixteen rows become columns.
#if defined(KINETOK_TARGET_avx512)
KINETOK_INLINE void StoreTransposed(const F32x16 (&rows)[16], float* out, int n) {
  __m512 a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    a[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // b[i + c] holds column c of each 128-bit part, of rows i to i + 3
    const __m512d lo0 = _mm512_castps_pd(a[i]), lo1 = _mm512_castps_pd(a[i + 2]);
    const __m512d hi0 = _mm512_castps_pd(a[i + 1]), hi1 = _mm512_castps_pd(a[i + 3]);
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo0, lo1));
    b[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo0, lo1));
    b[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi0, hi1));
    b[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi0, hi1));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even0 = _mm512_shuffle_f32x4(b[c], b[c + 4], 0x88), odd0 = _mm512_shuffle_f32x4(b[c], b[c + 4], 0xdd);
    const __m512 even1 = _mm512_shuffle_f32x4(b[c + 8], b[c + 12], 0x88);
    const __m512 odd1 = _mm512_shuffle_f32x4(b[c + 8], b[c + 12], 0xdd);
    a[c] = _mm512_shuffle_f32x4(even0, even1, 0x88);
    a[c + 8] = _mm512_shuffle_f32x4(even0, even1, 0xdd);
    a[c + 4] = _mm512_shuffle_f32x4(odd0, odd1, 0x88);
    a[c + 12] = _mm512_shuffle_f32x4(odd0, odd1, 0xdd);
  }
  if (n == 16) {
#pragma GCC unroll 16
    for (int k = 0; k < 16; ++k) _mm512_storeu_ps(out + 16 * k, a[k]);
  } else {
    for (int k = 0; k < n; ++k) _mm512_storeu_ps(out + 16 * k, a[k]);
  }
}
#elif defined(KINETOK_TARGET_avx2)
KINETOK_INLINE void StoreTransposed8(const __m256 (&r)[8], float* out, int n) {
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    a[c] = _mm256_permute2f128_ps(b[c], b[c + 4], 0x20);
    a[c + 4] = _mm256_permute2f128_ps(b[c], b[c + 4], 0x31);
  }
  if (n >= 8) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) _mm256_storeu_ps(out + 16 * k, a[k]);
  } else {
    for (int k = 0; k < n; ++k) _mm256_storeu_ps(out + 16 * k, a[k]);
  }
}
KINETOK_INLINE void StoreTransposed(const F32x16 (&rows)[16], float* out, int n) {
  __m256 r[8];
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 8; ++i) r[i] = rows[8 * half + i].lo;
    StoreTransposed8(r, out + 8 * half, n);
    if (n <= 8) continue;
    for (int i = 0; i < 8; ++i) r[i] = rows[8 * half + i].hi;
    StoreTransposed8(r, out + 8 * half + 128, n - 8);
  }
}
#else
KINETOK_INLINE void StoreTransposed(const F32x16 (&rows)[16], float* out, int n) {
  for (int k = 0; k < n; ++k) {
    for (int i = 0; i < 16; ++i) out[16 * k + i] = rows[i].v[k];
  }
}
#endif

// Scalar twins, for tails: the same rounding as the lanes.
KINETOK_INLINE float FmaScalar(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}

}  // namespace kinetok::KINETOK_TARGET
