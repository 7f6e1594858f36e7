#include "kinetok/kernels/matmul.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/kernels/gemm.h"
#include "kinetok/kernels/reference/matmul.h"

namespace kinetok {
namespace {

constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

// Uniform in [-1, 1), a different sequence for every `stream`.
std::vector<float> Random(int64_t n, uint64_t stream) {
  std::vector<float> out(n);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(static_cast<int32_t>(RandomBits(stream, RandomStream::kTest, 0, i)[0])) * 0x1p-31f;
  }
  return out;
}

// The values as a type of weights stores them.
std::vector<float> Rounded(std::vector<float> values, DType dtype) {
  for (float& v : values) {
    char stored[4];
    StoreElement(dtype, stored, 0, v);
    v = LoadElement(dtype, stored, 0);
  }
  return values;
}

PackedMatrix Pack(Context& context, const std::vector<float>& w, int64_t rows, int64_t columns, DType dtype) {
  PackedMatrix packed(rows, columns, dtype);
  packed.SetRows(context, 0, {.data = w.data(), .rows = rows, .columns = columns, .row_stride = columns});
  return packed;
}

std::vector<float> MatMulOf(Context& context, const std::vector<float>& x, const PackedMatrix& w,
                            const std::vector<float>& bias, int64_t m) {
  std::vector<float> y(m * w.rows(), std::numeric_limits<float>::quiet_NaN()), b = bias;
  MatMul(context, {x.data(), m, w.columns()}, w, b, {y.data(), m, w.rows()});
  return y;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Computed here, one output at a time, as the contract says.
std::vector<float> Chains(const std::vector<float>& x, const std::vector<float>& w, const std::vector<float>& bias,
                          int64_t m, int64_t n, int64_t k) {
  std::vector<float> y(m * n);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = bias.empty() ? 0.0f : bias[j];
      for (int64_t c = 0; c < k; ++c) sum = std::fma(x[i * k + c], w[j * k + c], sum);
      y[i * n + j] = sum;
    }
  }
  return y;
}

struct Shape {
  int64_t m, n, k;
};

// Rows from the smallest to past the block of the second-level cache (288 of one task: 590 x 390); columns around
// panels, tiles of three panels and the first task that is not full; depths around the block of k (192 or 256), and
// rows of x a page apart, which are copied.
const Shape kShapes[] = {{1, 1, 1},   {1, 16, 64},   {1, 130, 193},  {2, 33, 257},  {3, 48, 7},     {4, 100, 31},
                         {5, 17, 65}, {6, 129, 50},  {7, 64, 33},    {8, 257, 128}, {9, 49, 192},   {10, 97, 385},
                         {17, 65, 1}, {40, 15, 511}, {130, 47, 200}, {265, 34, 60}, {590, 390, 20}, {40, 80, 1024}};

class MatMulTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, MatMulTest, testing::ValuesIn(SupportedIsas()), [](const auto& param) {
  std::string name(IsaName(param.param));
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

// A chain of K fused multiply-adds on top of a bias errs by at most gamma(K) * (|bias| + sum |x||w|): one rounding each
// (Higham, Accuracy and Stability, 3.1; a fused multiply-add saves the rounding of the product).
TEST_P(MatMulTest, StaysWithinItsRoundingBound) {
  Context context(2, GetParam());
  for (const Shape& s : kShapes) {
    for (const DType dtype : kDTypes) {
      const auto x = Random(s.m * s.k, 1), w = Rounded(Random(s.n * s.k, 2), dtype), bias = Random(s.n, 3);
      const auto y = MatMulOf(context, x, Pack(context, w, s.n, s.k, dtype), bias, s.m);
      const auto magnitude = [](const std::vector<float>& v) {
        std::vector<double> out;
        out.reserve(v.size());
        for (const float f : v) out.push_back(std::fabs(f));
        return out;
      };
      const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
      const auto expected = reference::Linear(wide(x), wide(w), wide(bias), s.m, s.n, s.k);
      const auto total = reference::Linear(magnitude(x), magnitude(w), magnitude(bias), s.m, s.n, s.k);
      const double ku = static_cast<double>(s.k) * 0x1p-24, gamma = ku / (1 - ku) + 1e-13;
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_LE(std::fabs(y[i] - expected[i]), gamma * total[i])
            << DTypeName(dtype) << " " << s.m << "x" << s.n << "x" << s.k << " at " << i;
      }
    }
  }
}

TEST_P(MatMulTest, EveryOutputIsOneChainOfFusedMultiplyAdds) {
  Context context(2, GetParam());
  for (const Shape& s : kShapes) {
    const auto x = Random(s.m * s.k, 4), w = Random(s.n * s.k, 5);
    for (const DType dtype : kDTypes) {
      const auto stored = Rounded(w, dtype);
      for (const auto& bias : {std::vector<float>(), Random(s.n, 6)}) {
        EXPECT_TRUE(SameBits(MatMulOf(context, x, Pack(context, w, s.n, s.k, dtype), bias, s.m),
                             Chains(x, stored, bias, s.m, s.n, s.k)))
            << DTypeName(dtype) << " " << s.m << "x" << s.n << "x" << s.k;
      }
    }
  }
}

TEST_P(MatMulTest, ARowHasTheSameBitsAloneAsInsideAnyBatch) {
  const int64_t n = 150, k = 400, most = 40;
  Context context(2, GetParam());
  const auto x = Random(most * k, 7), w = Random(n * k, 8), bias = Random(n, 9);
  for (const DType dtype : kDTypes) {
    const auto packed = Pack(context, w, n, k, dtype);
    const auto all = MatMulOf(context, x, packed, bias, most);
    for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17}) {
      const auto y = MatMulOf(context, x, packed, bias, m);
      EXPECT_TRUE(SameBits(y, {all.begin(), all.begin() + m * n})) << DTypeName(dtype) << " M = " << m;
    }
  }
}

TEST_P(MatMulTest, MatchesLinearForwardOnTheUnpackedWeights) {
  Context context(2, GetParam());
  for (const Shape& s : kShapes) {
    const auto x = Random(s.m * s.k, 10), w = Random(s.n * s.k, 11);
    auto bias = Random(s.n, 12);
    std::vector<float> y(s.m * s.n);
    LinearForward(context, {x.data(), s.m, s.k}, {w.data(), s.n, s.k}, bias, {y.data(), s.m, s.n});
    EXPECT_TRUE(SameBits(y, MatMulOf(context, x, Pack(context, w, s.n, s.k, DType::kF32), bias, s.m)))
        << s.m << "x" << s.n << "x" << s.k;
  }
}

TEST_P(MatMulTest, ThreadsChangeNoBit) {
  const int64_t n = 640, k = 300;
  for (const int64_t m : {1, 5, 24}) {
    const auto x = Random(m * k, 13), w = Random(n * k, 14);
    Context one(1, GetParam());
    const auto packed = Pack(one, w, n, k, DType::kF16);
    const auto expected = MatMulOf(one, x, packed, {}, m);
    for (const int threads : {2, 3, 4}) {
      Context context(threads, GetParam());
      EXPECT_TRUE(SameBits(MatMulOf(context, x, packed, {}, m), expected)) << threads << " threads, M = " << m;
    }
  }
}

TEST(MatMulThreads, ShareTheWorkOfALargeProductWithoutChangingABit) {
  const int64_t n = 4100, k = 300;
  Context one(1, BestIsa()), two(2, BestIsa());
  const auto packed = Pack(one, Random(n * k, 19), n, k, DType::kBF16);
  for (const int64_t m : {1, 50}) {
    const auto x = Random(m * k, 20), expected = MatMulOf(one, x, packed, {}, m);
    two.pool().ResetWorkersUsed();
    for (int call = 0; call < 2000 && two.pool().WorkersUsed() < 2; ++call) {  // a worker may wake too late for a few
      ASSERT_TRUE(SameBits(MatMulOf(two, x, packed, {}, m), expected)) << "M = " << m;
    }
    EXPECT_EQ(two.pool().WorkersUsed(), 2) << "M = " << m;
  }
}

TEST_P(MatMulTest, WritesOnlyItsOwnColumns) {
  Context context(2, GetParam());
  for (const int64_t m : {1, 4, 20}) {
    const int64_t n = 37, k = 20, stride = 50;
    const auto x = Random(m * k, 15), w = Random(n * k, 16);
    std::vector<float> y(m * stride, 7.0f);
    MatMul(context, {x.data(), m, k}, Pack(context, w, n, k, DType::kBF16), {}, {y.data(), m, n, stride});
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = n; j < stride; ++j) ASSERT_EQ(y[i * stride + j], 7.0f) << "row " << i << " column " << j;
    }
  }
}

TEST_P(MatMulTest, HalfPrecisionSpecialValuesArriveAsTheyAre) {
  // Every f16 and bf16 value but NaN, times one; NaN stays NaN.
  Context context(1, GetParam());
  const float one = 1.0f;
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<uint16_t> all(65536);
    for (int i = 0; i < 65536; ++i) all[i] = static_cast<uint16_t>(i);
    PackedMatrix w(65536, 1, dtype);
    w.SetRows(context, 0, {.data = all.data(), .dtype = dtype, .rows = 65536, .columns = 1, .row_stride = 1});
    const auto few = MatMulOf(context, {one}, w, {}, 1);
    const auto many = MatMulOf(context, std::vector<float>(9, one), w, {}, 9);
    for (int i = 0; i < 65536; ++i) {
      const float expected = LoadElement(dtype, all.data(), i);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(few[i]) && std::isnan(many[i])) << i;
      } else {
        ASSERT_EQ(few[i], expected) << i;
        ASSERT_EQ(many[i], expected) << i;
      }
    }
    Context portable(1, Isa::kPortable);
    EXPECT_TRUE(SameBits(few, MatMulOf(portable, {one}, w, {}, 1)));
  }
}

TEST(MatMulShapes, NothingToSumGivesTheBias) {
  for (const Isa isa : SupportedIsas()) {
    Context context(1, isa);
    const std::vector<float> bias = Random(20, 17);
    for (const int64_t m : {1, 12}) {
      const auto y = MatMulOf(context, {}, PackedMatrix(20, 0, DType::kF32), bias, m);
      for (int64_t i = 0; i < m * 20; ++i) EXPECT_EQ(y[i], bias[i % 20]);
    }
  }
}

class PackedMatrixTest : public testing::TestWithParam<std::tuple<DType, DType>> {};
INSTANTIATE_TEST_SUITE_P(DTypes, PackedMatrixTest,
                         testing::Combine(testing::ValuesIn(kDTypes), testing::ValuesIn(kDTypes)),
                         [](const auto& param) {
                           return std::string(DTypeName(std::get<0>(param.param))) + "_to_" +
                                  std::string(DTypeName(std::get<1>(param.param)));
                         });

TEST_P(PackedMatrixTest, PutsElementsWherePanelsSayWhateverTheSourceLooksLike) {
  const auto [from, to] = GetParam();
  const int64_t rows = 53, columns = 150;
  Context context(2, BestIsa());
  const auto values = Rounded(Random(rows * columns, 18), from);
  struct Layout {
    int64_t row_stride, column_stride;
  };
  for (const Layout layout : {Layout{columns, 1}, Layout{columns + 3, 1}, Layout{1, rows}, Layout{2 * columns, 2}}) {
    // One byte off any alignment, as in a mapped file.
    std::vector<char> bytes(2 * rows * (columns + 3) * DTypeSize(from) + 1);
    char* data = bytes.data() + 1;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        StoreElement(from, data, r * layout.row_stride + c * layout.column_stride, values[r * columns + c]);
      }
    }
    PackedMatrix packed(rows + 7, columns, to);
    for (const auto& [first, last] : std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {5, 48}, {48, rows}}) {
      packed.SetRows(context, 3 + first,
                     {.data = data + first * layout.row_stride * DTypeSize(from),
                      .dtype = from,
                      .rows = last - first,
                      .columns = columns,
                      .row_stride = layout.row_stride,
                      .column_stride = layout.column_stride});
    }
    for (int64_t r = 0; r < packed.panels() * 16; ++r) {
      const bool set = r >= 3 && r < 3 + rows;
      for (int64_t c = 0; c < columns; ++c) {
        char expected[4] = {};
        if (set) StoreElement(to, expected, 0, values[(r - 3) * columns + c]);
        ASSERT_EQ(LoadElement(to, packed.Panel(r / 16), c * 16 + r % 16), LoadElement(to, expected, 0))
            << "row " << r << " column " << c;
      }
    }
  }
}

TEST(PackedMatrix, RoundsSpecialValuesAsDTypesDo) {
  Context context(1, BestIsa());
  std::vector<float> values;
  for (uint32_t high = 0; high < 65536; high += 5) {
    for (const uint32_t low : {0x0u, 0x1u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      values.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  const auto n = static_cast<int64_t>(values.size());
  for (const DType to : {DType::kF16, DType::kBF16}) {
    PackedMatrix packed(16, n, to);
    packed.SetRows(context, 0, {.data = values.data(), .rows = 16, .columns = n, .row_stride = 0});
    for (int64_t i = 0; i < n; ++i) {
      uint16_t expected;
      StoreElement(to, &expected, 0, values[i]);
      ASSERT_EQ(static_cast<const uint16_t*>(packed.Panel(0))[16 * i + i % 16], expected) << values[i];
    }
  }
}

TEST(PackedMatrix, WidensEveryHalfPrecisionValueAsDTypesDo) {
  Context context(1, BestIsa());
  std::vector<uint16_t> all(65536);
  for (int i = 0; i < 65536; ++i) all[i] = static_cast<uint16_t>(i);
  for (const DType from : {DType::kF16, DType::kBF16}) {
    PackedMatrix packed(16, 65536, DType::kF32);
    packed.SetRows(context, 0, {.data = all.data(), .dtype = from, .rows = 16, .columns = 65536, .row_stride = 0});
    for (int i = 0; i < 65536; ++i) {
      const float actual = static_cast<const float*>(packed.Panel(0))[16 * i + i % 16];
      ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(LoadElement(from, all.data(), i))) << i;
    }
  }
}

}  // namespace
}  // namespace kinetok
