// One 512-bit register holds the sixteen lanes. Included by simd.h alone.
#pragma once

namespace kinetok::KINETOK_TARGET {

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};  // 32-bit lanes, wrapping arithmetic
struct Mask16 {
  __mmask16 m;
};

KINETOK_INLINE F32x16 Load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
KINETOK_INLINE void Store(float* p, F32x16 a) {
  _mm512_storeu_ps(p, a.v);
}
KINETOK_INLINE Mask16 FirstN(int n) {
  return {static_cast<__mmask16>(n >= 16 ? 0xffff : (1u << n) - 1)};
}
KINETOK_INLINE F32x16 LoadN(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(FirstN(n).m, p)};
}  // rest 0
KINETOK_INLINE void StoreN(float* p, F32x16 a, int n) {
  _mm512_mask_storeu_ps(p, FirstN(n).m, a.v);
}
KINETOK_INLINE F32x16 Set(float x) {
  return {_mm512_set1_ps(x)};
}
KINETOK_INLINE F32x16 Zero() {
  return {_mm512_setzero_ps()};
}
KINETOK_INLINE F32x16 Add(F32x16 a, F32x16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
KINETOK_INLINE F32x16 Sub(F32x16 a, F32x16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
KINETOK_INLINE F32x16 Mul(F32x16 a, F32x16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
KINETOK_INLINE F32x16 Div(F32x16 a, F32x16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
KINETOK_INLINE F32x16 Sqrt(F32x16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
KINETOK_INLINE F32x16 Fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}  // a*b + c
KINETOK_INLINE F32x16 Fnma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
}  // c - a*b
KINETOK_INLINE F32x16 Max(F32x16 a, F32x16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
KINETOK_INLINE F32x16 Min(F32x16 a, F32x16 b) {
  return {_mm512_min_ps(a.v, b.v)};
}
KINETOK_INLINE Mask16 Less(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
KINETOK_INLINE Mask16 LessEqual(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
KINETOK_INLINE Mask16 Equal(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
KINETOK_INLINE F32x16 Select(Mask16 m, F32x16 yes, F32x16 no) {
  return {_mm512_mask_blend_ps(m.m, no.v, yes.v)};
}

KINETOK_INLINE I32x16 SetI(int32_t x) {
  return {_mm512_set1_epi32(x)};
}
KINETOK_INLINE I32x16 LoadI(const int32_t* p) {
  return {_mm512_loadu_si512(p)};
}
KINETOK_INLINE I32x16 AddI(I32x16 a, I32x16 b) {
  return {_mm512_add_epi32(a.v, b.v)};
}
KINETOK_INLINE I32x16 SubI(I32x16 a, I32x16 b) {
  return {_mm512_sub_epi32(a.v, b.v)};
}
KINETOK_INLINE I32x16 MulLoI(I32x16 a, I32x16 b) {
  return {_mm512_mullo_epi32(a.v, b.v)};
}
KINETOK_INLINE I32x16 And(I32x16 a, I32x16 b) {
  return {_mm512_and_si512(a.v, b.v)};
}
KINETOK_INLINE I32x16 Or(I32x16 a, I32x16 b) {
  return {_mm512_or_si512(a.v, b.v)};
}
KINETOK_INLINE I32x16 Xor(I32x16 a, I32x16 b) {
  return {_mm512_xor_si512(a.v, b.v)};
}
template <int n>
KINETOK_INLINE I32x16 ShiftLeft(I32x16 a) {
  return {_mm512_slli_epi32(a.v, n)};
}
template <int n>
KINETOK_INLINE I32x16 ShiftRight(I32x16 a) {
  return {_mm512_srli_epi32(a.v, n)};
}  // logical
KINETOK_INLINE I32x16 BitsOf(F32x16 a) {
  return {_mm512_castps_si512(a.v)};
}
KINETOK_INLINE F32x16 FromBits(I32x16 a) {
  return {_mm512_castsi512_ps(a.v)};
}
KINETOK_INLINE F32x16 ToFloat(I32x16 a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
KINETOK_INLINE F32x16 LoadF16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
KINETOK_INLINE F32x16 LoadBF16(const uint16_t* p) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16))};
}

}  // namespace kinetok::KINETOK_TARGET
