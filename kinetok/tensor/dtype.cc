#include "kinetok/tensor/dtype.h"

#include <bit>
#include <cctype>
#include <cstring>
#include <string>

#include "kinetok/base/error.h"

namespace kinetok {

std::string_view DTypeName(DType t) {
  switch (t) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
  }
  KINETOK_CHECK(false);
  return "";
}

DType ParseDType(std::string_view name) {
  std::string lower;
  for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "f32" || lower == "float32") return DType::kF32;
  if (lower == "f16" || lower == "float16") return DType::kF16;
  if (lower == "bf16" || lower == "bfloat16") return DType::kBF16;
  Fail("dtype is \"{}\"; it must be f32, f16 or bf16", name);
}

float F16ToF32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float value = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal, exact
  return sign != 0 ? -value : value;
}

uint16_t F32ToF16(float value) {
  const uint32_t x = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (x >> 16) & 0x8000u, magnitude = x & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {                                               // subnormal result: a multiple of 2^-24
    // scaled < 2^10, so the sum is in [2^23, 2^24), where floats are the integers: the addition rounds to the nearest
    // one, ties to even (1.5 * 2^23 is even), and the subtraction is exact.
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    return static_cast<uint16_t>(sign | static_cast<uint32_t>((scaled + 0x1.8p23f) - 0x1.8p23f));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

float BF16ToF32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t F32ToBF16(float value) {
  const uint32_t x = std::bit_cast<uint32_t>(value);
  if ((x & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((x >> 16) | 0x40u);
  return static_cast<uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
}

float LoadElement(DType type, const void* data, int64_t index) {
  const auto* bytes = static_cast<const char*>(data) + index * DTypeSize(type);
  if (type == DType::kF32) {
    float v;
    std::memcpy(&v, bytes, 4);
    return v;
  }
  uint16_t v;
  std::memcpy(&v, bytes, 2);
  return type == DType::kF16 ? F16ToF32(v) : BF16ToF32(v);
}

void StoreElement(DType type, void* data, int64_t index, float value) {
  auto* bytes = static_cast<char*>(data) + index * DTypeSize(type);
  if (type == DType::kF32) {
    std::memcpy(bytes, &value, 4);
    return;
  }
  const uint16_t v = type == DType::kF16 ? F32ToF16(value) : F32ToBF16(value);
  std::memcpy(bytes, &v, 2);
}

}  // namespace kinetok
