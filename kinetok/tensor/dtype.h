// Element types of weights. Activations and accumulation are always f32.
#pragma once

#include <cstdint>
#include <string_view>

namespace kinetok {

enum class DType : uint8_t { kF32, kF16, kBF16 };

constexpr int64_t DTypeSize(DType t) {
  return t == DType::kF32 ? 4 : 2;
}
std::string_view DTypeName(DType t);      // "f32", "f16", "bf16"
DType ParseDType(std::string_view name);  // accepts f32/float32, f16/float16, bf16/bfloat16, any case; else Error

// Exact to f32; from f32 rounds to nearest even (overflow to infinity, NaN stays NaN).
float F16ToF32(uint16_t bits);
uint16_t F32ToF16(float value);
float BF16ToF32(uint16_t bits);
uint16_t F32ToBF16(float value);

// Element `index` of an array of `type` at any alignment.
float LoadElement(DType type, const void* data, int64_t index);
void StoreElement(DType type, void* data, int64_t index, float value);

}  // namespace kinetok
