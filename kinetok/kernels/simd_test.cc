#include <algorithm>
#include <bit>
#include <limits>

#include "kinetok/kernels/simd_check.h"
#include "kinetok/kernels/test_support.h"
#include "kinetok/tensor/dtype.h"

namespace kinetok {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Apply(Isa isa, Lanes op, const std::vector<float>& a, const std::vector<float>& b,
                         const std::vector<float>& c) {
  Context context(1, isa);
  std::vector<float> out(a.size());
  ApplyLanes(context, op, a, b, c, out);
  return out;
}

// Ordinary numbers, then every pair of the awkward ones.
struct Operands {
  std::vector<float> a = Numbers(4096, 1, -50, 50), b = Numbers(4096, 2, -50, 50), c = Numbers(4096, 3, -50, 50);
  Operands() {
    const float awkward[] = {0.0f,     -0.0f,     1.0f,       -1.5f, 2.5f,      1e-45f,      -1e-40f,     3.4e38f,
                             -3.4e38f, kInfinity, -kInfinity, NAN,   0x1p-126f, 16777217.0f, 0.49999997f, -8388607.5f};
    for (const float x : awkward) {
      for (const float y : awkward) {
        a.push_back(x);
        b.push_back(y);
        c.push_back(awkward[(a.size() * 7) % 16]);
      }
    }
  }
};

struct Named {
  Lanes op;
  float (*scalar)(float, float, float);
};

// The definition of every operation, one number at a time.
const std::vector<Named> kArithmetic = {
    {Lanes::kAdd, [](float a, float b, float) { return a + b; }},
    {Lanes::kSub, [](float a, float b, float) { return a - b; }},
    {Lanes::kMul, [](float a, float b, float) { return a * b; }},
    {Lanes::kDiv, [](float a, float b, float) { return a / b; }},
    {Lanes::kSqrt, [](float a, float, float) { return std::sqrt(a); }},
    {Lanes::kFma, [](float a, float b, float c) { return std::fma(a, b, c); }},
    {Lanes::kFnma, [](float a, float b, float c) { return std::fma(-a, b, c); }},
    {Lanes::kMax, [](float a, float b, float) { return a > b ? a : b; }},
    {Lanes::kMin, [](float a, float b, float) { return a < b ? a : b; }},
    {Lanes::kNeg, [](float a, float, float) { return -a; }},
    {Lanes::kAbs, [](float a, float, float) { return std::fabs(a); }},
    {Lanes::kLess, [](float a, float b, float) { return a < b ? 1.0f : 0.0f; }},
    {Lanes::kLessEqual, [](float a, float b, float) { return a <= b ? 1.0f : 0.0f; }},
    {Lanes::kEqual, [](float a, float b, float) { return a == b ? 1.0f : 0.0f; }},
};

TEST(SimdTest, ArithmeticIsTheScalarOneOnEveryInstructionSet) {
  const Operands t;
  for (const Isa isa : SupportedIsas()) {
    for (const Named& named : kArithmetic) {
      std::vector<float> want(t.a.size());
      for (size_t i = 0; i < want.size(); ++i) want[i] = named.scalar(t.a[i], t.b[i], t.c[i]);
      EXPECT_TRUE(SameBits(Apply(isa, named.op, t.a, t.b, t.c), want))
          << IsaName(isa) << " " << static_cast<int>(named.op);
    }
  }
}

TEST(SimdTest, IntegerOperationsWrapAndKeepEveryBit) {
  std::vector<float> a(1024), b(1024);
  for (uint64_t i = 0; i < 1024; ++i) {
    const Philox4 bits = RandomBits(4, RandomStream::kTest, 1, i);
    a[i] = std::bit_cast<float>(bits[0]);
    b[i] = std::bit_cast<float>(bits[1]);
  }
  using Op = uint32_t (*)(uint32_t, uint32_t);
  const std::pair<Lanes, Op> ops[] = {
      {Lanes::kAddI, [](uint32_t x, uint32_t y) { return x + y; }},
      {Lanes::kSubI, [](uint32_t x, uint32_t y) { return x - y; }},
      {Lanes::kMulLoI, [](uint32_t x, uint32_t y) { return x * y; }},
      {Lanes::kAnd, [](uint32_t x, uint32_t y) { return x & y; }},
      {Lanes::kOr, [](uint32_t x, uint32_t y) { return x | y; }},
      {Lanes::kXor, [](uint32_t x, uint32_t y) { return x ^ y; }},
      {Lanes::kShiftLeft5, [](uint32_t x, uint32_t) { return x << 5; }},
      {Lanes::kShiftRight5, [](uint32_t x, uint32_t) { return x >> 5; }},
  };
  for (const Isa isa : SupportedIsas()) {
    for (const auto& [op, scalar] : ops) {
      const std::vector<float> out = Apply(isa, op, a, b, a);
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), scalar(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(b[i])))
            << IsaName(isa) << " " << static_cast<int>(op);
      }
    }
  }
}

TEST(SimdTest, IntegersBecomeTheNearestFloat) {
  std::vector<float> bits(1024), want(1024);
  for (uint64_t i = 0; i < 1024; ++i) {
    const auto x = static_cast<int32_t>(RandomBits(4, RandomStream::kTest, 2, i)[0] >> i % 32);
    bits[i] = std::bit_cast<float>(x);
    want[i] = static_cast<float>(x);
  }
  for (const Isa isa : SupportedIsas()) {
    EXPECT_TRUE(SameBits(Apply(isa, Lanes::kToFloat, bits, bits, bits), want)) << IsaName(isa);
  }
}

TEST(SimdTest, EveryHalfPatternReadsAsTheScalarConversionSays) {
  std::vector<float> patterns(65536);
  for (uint32_t i = 0; i < 65536; ++i) patterns[i] = std::bit_cast<float>(i);
  for (const bool f16 : {true, false}) {
    std::vector<float> want(65536);
    for (uint32_t i = 0; i < 65536; ++i) {
      want[i] = f16 ? F16ToF32(static_cast<uint16_t>(i)) : BF16ToF32(static_cast<uint16_t>(i));
    }
    for (const Isa isa : SupportedIsas()) {
      EXPECT_TRUE(SameBits(Apply(isa, f16 ? Lanes::kF16 : Lanes::kBF16, patterns, patterns, patterns), want))
          << IsaName(isa);
    }
  }
}

// The trees that simd.h states, spelled out.
TEST(SimdTest, ReductionsFollowTheirTree) {
  const std::vector<float> a = Numbers(160, 5, -1e3, 1e3);
  std::vector<float> sums(160), maxima(160);
  for (int row = 0; row < 160; row += 16) {
    const float* x = a.data() + row;
    float t[4];
    for (int i = 0; i < 4; ++i) t[i] = (x[i] + x[i + 8]) + (x[i + 4] + x[i + 12]);
    for (int i = 0; i < 16; ++i) {
      sums[row + i] = (t[0] + t[2]) + (t[1] + t[3]);
      maxima[row + i] = *std::max_element(x, x + 16);
    }
  }
  for (const Isa isa : SupportedIsas()) {
    EXPECT_TRUE(SameBits(Apply(isa, Lanes::kReduceSum, a, a, a), sums)) << IsaName(isa);
    EXPECT_TRUE(SameBits(Apply(isa, Lanes::kReduceMax, a, a, a), maxima)) << IsaName(isa);
  }
}

TEST(SimdTest, PartialLoadsReadZerosAndPartialStoresStopInTime) {
  for (const Isa isa : SupportedIsas()) {
    Context context(1, isa);
    for (int n = 0; n <= 16; ++n) {
      const std::vector<float> a = Numbers(n, 6, 1, 2);  // exactly n long: AddressSanitizer watches its end
      std::vector<float> out(16, 9.0f), tail(17, 9.0f);
      PartialLanes(context, n, a, out, tail);
      for (int i = 0; i < 16; ++i) EXPECT_EQ(out[i], i < n ? a[i] : 0.0f);
      for (int i = 0; i < 17; ++i) EXPECT_EQ(tail[i], i < n ? a[i] : 9.0f);
    }
  }
}

// Errors in units of the last place of the correctly rounded result.
double WorstUlps(Lanes op, long double (*exact)(long double), const std::vector<float>& x) {
  const std::vector<float> y = Apply(BestIsa(), op, x, x, x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double want = exact(x[i]);
    const auto rounded = static_cast<float>(want);
    if (rounded == y[i]) continue;
    if (std::isinf(rounded) || std::isnan(y[i])) return 1e9;
    const int exponent = rounded == 0 ? -126 : std::max(std::ilogb(rounded), -126);
    worst = std::max(worst, static_cast<double>(std::fabs(y[i] - want) / std::ldexp(1.0L, exponent - 23)));
  }
  return worst;
}

std::vector<float> Dense(float low, float high) {
  std::vector<float> x(160000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = low + (high - low) * (static_cast<float>(i) / 160000.0f);
  return x;
}

// Every exponent and many significands: bit patterns at an even stride.
std::vector<float> AllMagnitudes(bool negative) {
  std::vector<float> x(160000);
  for (uint32_t i = 0; i < x.size(); ++i) x[i] = std::bit_cast<float>(i * 13369u + (negative ? 0x80000000u : 0));
  return x;
}

TEST(SimdMathTest, FunctionsAreWithinTheirStatedError) {
  for (const auto& x : {Dense(-104.5f, 88.72f), Dense(-2, 2), AllMagnitudes(true)}) {
    EXPECT_LE(WorstUlps(Lanes::kExp, expl, x), 1.0);
  }
  for (const auto& x : {Dense(0.5f, 2), Dense(0.99f, 1.01f), AllMagnitudes(false)}) {
    EXPECT_LE(WorstUlps(Lanes::kLog, logl, x), 1.0);
  }
  for (const auto& x : {Dense(-10, 10), Dense(-1, 1), AllMagnitudes(true), AllMagnitudes(false)}) {
    EXPECT_LE(WorstUlps(Lanes::kErf, erfl, x), 2.0);
  }
}

TEST(SimdMathTest, FunctionsGiveTheSameBitsOnEveryInstructionSet) {
  std::vector<float> x = Numbers(8192, 7, -100, 100);
  for (uint32_t i = 0; i < 65536; ++i) x.push_back(std::bit_cast<float>(i << 16));  // every sign and exponent, NaN too
  for (const Lanes op : {Lanes::kExp, Lanes::kLog, Lanes::kErf}) {
    const std::vector<float> want = Apply(Isa::kPortable, op, x, x, x);
    for (const Isa isa : SupportedIsas()) {
      EXPECT_TRUE(SameBits(Apply(isa, op, x, x, x), want)) << IsaName(isa) << " " << static_cast<int>(op);
    }
  }
}

TEST(SimdMathTest, LimitsAndNanAreDefined) {
  const std::vector<float> x = {kInfinity, -kInfinity, NAN,  0.0f, -0.0f,   -1.0f,    88.8f, -104.1f,
                                1.0f,      1e-45f,     -NAN, 2.0f, 3.4e38f, -3.4e38f, 0.5f,  20.0f};
  for (const Isa isa : SupportedIsas()) {
    const std::vector<float> exp = Apply(isa, Lanes::kExp, x, x, x), log = Apply(isa, Lanes::kLog, x, x, x);
    const std::vector<float> erf = Apply(isa, Lanes::kErf, x, x, x);
    EXPECT_EQ(exp[0], kInfinity);
    EXPECT_EQ(exp[1], 0.0f);
    EXPECT_EQ(exp[3], 1.0f);
    EXPECT_EQ(exp[6], kInfinity);
    EXPECT_EQ(exp[7], 0.0f);
    EXPECT_EQ(log[0], kInfinity);
    EXPECT_EQ(log[3], -kInfinity);
    EXPECT_EQ(log[4], -kInfinity);
    EXPECT_EQ(log[8], 0.0f);
    EXPECT_TRUE(std::isnan(log[1]) && std::isnan(log[5]));
    for (const auto& y : {exp, log, erf}) EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[10]));
    EXPECT_EQ(erf[0], 1.0f);
    EXPECT_EQ(erf[1], -1.0f);
    EXPECT_TRUE(erf[4] == 0 && std::signbit(erf[4]));
  }
}

}  // namespace
}  // namespace kinetok
