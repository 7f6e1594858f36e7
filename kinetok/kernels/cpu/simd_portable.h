// Plain loops over sixteen lanes, which the compiler vectorises as it can. Included by simd.h alone.
#pragma once

namespace kinetok::KINETOK_TARGET {

struct F32x16 {
  float v[16];
};
struct I32x16 {
  int32_t v[16];
};
struct Mask16 {
  bool m[16];
};

#define KINETOK_LANES(expression)                     \
  for (int i = 0; i < 16; ++i) r.v[i] = (expression); \
  return r

KINETOK_INLINE F32x16 Load(const float* p) {
  F32x16 r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
KINETOK_INLINE void Store(float* p, const F32x16& a) {
  std::memcpy(p, a.v, sizeof a.v);
}
KINETOK_INLINE Mask16 FirstN(int n) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.m[i] = i < n;
  return r;
}
KINETOK_INLINE F32x16 LoadN(const float* p, int n) {
  F32x16 r;
  KINETOK_LANES(i < n ? p[i] : 0.0f);
}
KINETOK_INLINE void StoreN(float* p, const F32x16& a, int n) {
  for (int i = 0; i < 16 && i < n; ++i) p[i] = a.v[i];
}
KINETOK_INLINE F32x16 Set(float x) {
  F32x16 r;
  KINETOK_LANES(x);
}
KINETOK_INLINE F32x16 Zero() {
  F32x16 r;
  KINETOK_LANES(0.0f);
}
KINETOK_INLINE F32x16 Add(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] + b.v[i]);
}
KINETOK_INLINE F32x16 Sub(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] - b.v[i]);
}
KINETOK_INLINE F32x16 Mul(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] * b.v[i]);
}
KINETOK_INLINE F32x16 Div(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] / b.v[i]);
}
KINETOK_INLINE F32x16 Sqrt(const F32x16& a) {
  F32x16 r;
  KINETOK_LANES(__builtin_sqrtf(a.v[i]));
}
KINETOK_INLINE F32x16 Fma(const F32x16& a, const F32x16& b, const F32x16& c) {
  F32x16 r;
  KINETOK_LANES(__builtin_fmaf(a.v[i], b.v[i], c.v[i]));
}
KINETOK_INLINE F32x16 Fnma(const F32x16& a, const F32x16& b, const F32x16& c) {
  F32x16 r;
  KINETOK_LANES(__builtin_fmaf(-a.v[i], b.v[i], c.v[i]));
}
KINETOK_INLINE F32x16 Max(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}
KINETOK_INLINE F32x16 Min(const F32x16& a, const F32x16& b) {
  F32x16 r;
  KINETOK_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
}
KINETOK_INLINE Mask16 Less(const F32x16& a, const F32x16& b) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.m[i] = a.v[i] < b.v[i];
  return r;
}
KINETOK_INLINE Mask16 LessEqual(const F32x16& a, const F32x16& b) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.m[i] = a.v[i] <= b.v[i];
  return r;
}
KINETOK_INLINE Mask16 Equal(const F32x16& a, const F32x16& b) {
  Mask16 r;
  for (int i = 0; i < 16; ++i) r.m[i] = a.v[i] == b.v[i];
  return r;
}
KINETOK_INLINE F32x16 Select(const Mask16& m, const F32x16& yes, const F32x16& no) {
  F32x16 r;
  KINETOK_LANES(m.m[i] ? yes.v[i] : no.v[i]);
}

KINETOK_INLINE int32_t WrapI(uint32_t x) {
  return static_cast<int32_t>(x);
}
KINETOK_INLINE uint32_t U(int32_t x) {
  return static_cast<uint32_t>(x);
}
KINETOK_INLINE I32x16 SetI(int32_t x) {
  I32x16 r;
  KINETOK_LANES(x);
}
KINETOK_INLINE I32x16 LoadI(const int32_t* p) {
  I32x16 r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
KINETOK_INLINE I32x16 AddI(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(WrapI(U(a.v[i]) + U(b.v[i])));
}
KINETOK_INLINE I32x16 SubI(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(WrapI(U(a.v[i]) - U(b.v[i])));
}
KINETOK_INLINE I32x16 MulLoI(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(WrapI(U(a.v[i]) * U(b.v[i])));
}
KINETOK_INLINE I32x16 And(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(a.v[i] & b.v[i]);
}
KINETOK_INLINE I32x16 Or(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(a.v[i] | b.v[i]);
}
KINETOK_INLINE I32x16 Xor(const I32x16& a, const I32x16& b) {
  I32x16 r;
  KINETOK_LANES(a.v[i] ^ b.v[i]);
}
template <int n>
KINETOK_INLINE I32x16 ShiftLeft(const I32x16& a) {
  I32x16 r;
  KINETOK_LANES(WrapI(U(a.v[i]) << n));
}
template <int n>
KINETOK_INLINE I32x16 ShiftRight(const I32x16& a) {
  I32x16 r;
  KINETOK_LANES(WrapI(U(a.v[i]) >> n));
}
KINETOK_INLINE I32x16 BitsOf(const F32x16& a) {
  I32x16 r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
KINETOK_INLINE F32x16 FromBits(const I32x16& a) {
  F32x16 r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
KINETOK_INLINE F32x16 ToFloat(const I32x16& a) {
  F32x16 r;
  KINETOK_LANES(static_cast<float>(a.v[i]));
}
KINETOK_INLINE F32x16 LoadF16(const uint16_t* p) {
  // Shift into place, multiply by 2^112 (exact, subnormals included), and restore infinities and NaN.
  F32x16 r;
  for (int i = 0; i < 16; ++i) {
    const uint32_t h = p[i];
    float scaled;
    const uint32_t shifted = (h & 0x7fffu) << 13;
    std::memcpy(&scaled, &shifted, 4);
    scaled *= 0x1p112f;
    uint32_t bits;
    std::memcpy(&bits, &scaled, 4);
    if ((h & 0x7c00u) == 0x7c00u) bits = 0x7f800000u | ((h & 0x3ffu) << 13) | ((h & 0x3ffu) != 0 ? 0x400000u : 0u);
    bits |= (h & 0x8000u) << 16;
    std::memcpy(&r.v[i], &bits, 4);
  }
  return r;
}
KINETOK_INLINE F32x16 LoadBF16(const uint16_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) {
    const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
    std::memcpy(&r.v[i], &bits, 4);
  }
  return r;
}
#undef KINETOK_LANES

}  // namespace kinetok::KINETOK_TARGET
