// What the kernels' tests share: repeatable numbers, and one run per instruction set and thread count.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
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
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return false;
  }
  return true;
}

// run(context) must give `want` on every instruction set with 1 to 4 threads. Where the work is `shared`, at least two
// of several threads must have done some: a run may be over before a second worker wakes on a busy machine, so it is
// repeated, and must give the same bits every time.
template <class F>
void ExpectBitsEverywhere(const std::vector<float>& want, bool shared, F run) {
  for (const Isa isa : SupportedIsas()) {
    for (int threads = 1; threads <= 4; ++threads) {
      Context context(threads, isa);
      EXPECT_TRUE(SameBits(want, run(context))) << IsaName(isa) << ", " << threads << " threads";
      if (!shared || threads == 1) continue;
      const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (context.pool().WorkersUsed() < 2 && std::chrono::steady_clock::now() < patience) {
        ASSERT_TRUE(SameBits(want, run(context))) << IsaName(isa) << ", " << threads << " threads, again";
      }
      EXPECT_GE(context.pool().WorkersUsed(), 2) << IsaName(isa) << ", " << threads << " threads";
    }
  }
}

// The same, against what the portable code gives on one thread.
template <class F>
void ExpectSameBitsEverywhere(bool shared, F run) {
  Context first(1, Isa::kPortable);
  ExpectBitsEverywhere(run(first), shared, run);
}

struct Shape {
  int64_t rows, width;
};
// Tails of every kind, and sizes on both sides of the thresholds at which threads share the work.
inline const std::vector<Shape> kShapes = {{1, 1},    {3, 15},   {3, 16},   {1, 17},   {3, 65},
                                           {700, 17}, {40, 768}, {5, 4101}, {700, 64}, {300, 200}};

// Rows are shared out in pieces of `elements`.
inline bool SharesRows(Shape s, int64_t elements = 16384) {
  return s.rows > 1 && s.rows * s.width > elements;
}

// Bounds are first-order sums of roundings, n u where Higham's gamma(n) = n u / (1 - n u) stands: a hundredth more
// covers the products of errors while n u < 0.01. Also fails when no error reaches a hundredth of its bound.
inline void ExpectWithin(const std::vector<float>& actual, const std::vector<double>& exact,
                         const std::vector<double>& bound, const std::string& what) {
  ASSERT_EQ(actual.size(), exact.size()) << what;
  ASSERT_EQ(actual.size(), bound.size()) << what;
  double worst = 0;  // of the bound
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(actual[i] - exact[i]);
    ASSERT_LE(error, 1.01 * bound[i] + 1e-40) << what << " at " << i << ": " << actual[i] << ", expected " << exact[i];
    worst = std::max(worst, error / (bound[i] + 1e-40));
  }
  if (actual.size() > 100) {
    EXPECT_GT(worst, 0.01) << what << ": the bound is too loose to mean anything";
  }
}

// The central difference of f() in every element of x, which f reads. Its errors: the truncation, h^2 / 6 times the
// third derivative, and the rounding, that of f over h.
template <class F>
std::vector<double> Slopes(std::vector<double>& x, F f, double h = 1e-5) {
  std::vector<double> out;
  for (double& v : x) {
    const double at = v;
    v = at + h;
    const double above = f();
    v = at - h;
    const double below = f();
    v = at;
    out.push_back((above - below) / (2 * h));
  }
  return out;
}

inline void ExpectNear(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << "at " << i;
}

inline double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace kinetok::test
