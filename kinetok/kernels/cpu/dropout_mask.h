// Which elements dropout keeps, on sixteen lanes, for kernel code only (dispatch.h): a hash of (seed, step, site, row
// key, column) and nothing else. Scalar code mixes all but the column into 96 bits a row; a lane then costs two
// multiplications.
#pragma once

#include "kinetok/kernels/cpu/simd.h"
#include "kinetok/kernels/elementwise.h"

namespace kinetok::KINETOK_TARGET {

// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection in which every input bit flips half of the output.
KINETOK_INLINE uint64_t Mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

struct DropoutMask {
  uint64_t site_key;
  float dropped_below;  // of 2^24
  float scale;          // 1 / (1 - p)
};

struct DropoutRow {
  uint32_t k0, k1, k2;
};

KINETOK_INLINE DropoutMask MakeDropoutMask(const DropoutSite& site) {
  uint64_t key = Mix64(site.seed + 0x9e3779b97f4a7c15u);
  key = Mix64(key ^ site.step);
  key = Mix64(key + site.site);
  return {key, site.p * 0x1p24f, 1.0f / (1.0f - site.p)};
}

KINETOK_INLINE DropoutRow MakeDropoutRow(const DropoutMask& mask, uint64_t row_key) {
  const uint64_t a = Mix64(mask.site_key ^ Mix64(row_key + 0x9e3779b97f4a7c15u)), b = Mix64(a + mask.site_key);
  return {static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b)};
}

// For columns first, first + 1, ..., first + 15 (a multiple of 16): 0 with probability p, else 1 / (1 - p).
KINETOK_INLINE F32x16 DropoutScale(const DropoutMask& mask, const DropoutRow& row, int64_t first) {
  alignas(64) constexpr int32_t kLaneIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto word = [](uint32_t x) __attribute__((always_inline)) {
    return SetI(static_cast<int32_t>(x));
  };
  I32x16 h = Xor(AddI(LoadI(kLaneIndex), word(static_cast<uint32_t>(first))), word(row.k0));
  h = MulLoI(Xor(h, ShiftRight<16>(h)), word(0x7feb352du));
  h = AddI(h, word(row.k1));
  h = MulLoI(Xor(h, ShiftRight<15>(h)), word(0x846ca68bu));
  h = AddI(h, word(row.k2));
  h = Xor(h, ShiftRight<16>(h));
  const F32x16 uniform = ToFloat(ShiftRight<8>(h));  // in [0, 2^24), exact
  return Select(Less(uniform, Set(mask.dropped_below)), Zero(), Set(mask.scale));
}

}  // namespace kinetok::KINETOK_TARGET
