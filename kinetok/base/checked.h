// Integer arithmetic on values that come from files, flags or sockets: overflow is reported, never wrapped.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace kinetok {

template <std::integral T>
std::optional<T> CheckedAdd(T a, T b) {
  T out;
  return __builtin_add_overflow(a, b, &out) ? std::nullopt : std::optional<T>(out);
}

template <std::integral T>
std::optional<T> CheckedMul(T a, T b) {
  T out;
  return __builtin_mul_overflow(a, b, &out) ? std::nullopt : std::optional<T>(out);
}

// The product of a shape's dimensions; 1 for rank 0. Empty on overflow or a negative dimension.
inline std::optional<int64_t> CheckedElements(std::span<const int64_t> shape) {
  int64_t product = 1;
  bool zero = false;
  for (int64_t d : shape) {
    if (d < 0) return std::nullopt;
    zero = zero || d == 0;
  }
  if (zero) return 0;
  for (int64_t d : shape) {
    auto next = CheckedMul(product, d);
    if (!next) return std::nullopt;
    product = *next;
  }
  return product;
}

// Division rounded up; a >= 0, b > 0.
constexpr int64_t CeilDiv(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
constexpr int64_t RoundUp(int64_t a, int64_t b) {
  return CeilDiv(a, b) * b;
}

}  // namespace kinetok
