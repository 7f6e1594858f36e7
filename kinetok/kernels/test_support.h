// What the kernels' tests share: repeatable numbers, and one run per instruction set and thread count.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok::test {

inline constexpr double kUnit = 0x1p-24;  // half an ulp of 1: the relative error of one f32 operation

// `n` numbers uniform in [low, high), the same on every machine.
inline std::vector<float> Numbers(size_t n, uint64_t seed, double low = -1, double high = 1) {
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) {
    const Philox4 bits = RandomBits(seed, RandomStream::kTest, 0, i);
    out[i] = static_cast<float>(low + (high - low) * UniformDouble(bits[0], bits[1]));
  }
  return out;
}

inline std::vector<double> Doubles(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

inline Rows<float> View(std::vector<float>& x, int64_t width) {
  return {x.data(), static_cast<int64_t>(x.size()) / width, width};
}
inline Rows<const float> View(const std::vector<float>& x, int64_t width) {
  return {x.data(), static_cast<int64_t>(x.size()) / width, width};
}

// Bits, except that any NaN equals any other.
inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) return false;
  }
  return true;
}

// run(context) must give the same numbers on every instruction set with one thread and on the best with 1 to 4.
template <class F>
void ExpectSameBitsEverywhere(F run) {
  Context first(1, Isa::kPortable);
  const std::vector<float> want = run(first);
  for (const Isa isa : SupportedIsas()) {
    const int most = isa == BestIsa() ? 4 : 2;
    for (int threads = 1; threads <= most; ++threads) {
      Context context(threads, isa);
      EXPECT_TRUE(SameBits(want, run(context))) << IsaName(isa) << ", " << threads << " threads";
    }
  }
}

struct Shape {
  int64_t rows, width;
};
// Tails of every kind, and sizes on both sides of the thresholds at which threads share the work.
inline const std::vector<Shape> kShapes = {{1, 1}, {3, 15}, {3, 16}, {1, 17}, {3, 65}, {700, 17}, {40, 768}, {5, 4101}};

// The central difference of f at x, in double.
template <class F>
double Slope(F f, double x, double h = 1e-5) {
  return (f(x + h) - f(x - h)) / (2 * h);
}

}  // namespace kinetok::test
