#include "kinetok/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/kernels/probe.h"
#include "kinetok/kernels/reference/matmul.h"

namespace kinetok {
namespace {

std::vector<float> Random(int64_t n, uint64_t stream) {
  std::vector<float> out(n);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(static_cast<int32_t>(RandomBits(stream, RandomStream::kTest, 1, i)[0])) * 0x1p-31f;
  }
  return out;
}

std::vector<double> Wide(const std::vector<float>& v) {
  return {v.begin(), v.end()};
}
std::vector<double> Magnitude(const std::vector<float>& v) {
  std::vector<double> out;
  out.reserve(v.size());
  for (const float f : v) out.push_back(std::fabs(f));
  return out;
}

struct Shape {
  int64_t m, n, k;
};
// Around tiles (6 and 9 rows, 1 and 3 panels), blocks of k (192 and 256) and of rows (288, in a task that is given
// more: the forward pass of 590 x 390 x 20, the input's gradient of 590 x 20 x 390), on each of the three sides; rows a
// page apart, which are copied (x in the forward pass of 40 x 80 x 1024; dy, as it is and transposed, of 40 x 1024 x
// 80).
const Shape kShapes[] = {{1, 1, 1},      {1, 40, 70},    {7, 16, 16},    {12, 65, 33},  {33, 50, 260},
                         {200, 9, 100},  {259, 20, 35},  {20, 390, 48},  {24, 300, 17}, {3, 5, 400},
                         {590, 390, 20}, {590, 20, 390}, {40, 80, 1024}, {40, 1024, 80}};

std::string Name(const Shape& s) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
}

struct Result {
  std::vector<float> y, dx, dw, dbias;
  bool operator==(const Result& o) const {
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return same(y, o.y) && same(dx, o.dx) && same(dw, o.dw) && same(dbias, o.dbias);
  }
};

struct Operands {
  explicit Operands(const Shape& s)
      : x(Random(s.m * s.k, 1)), w(Random(s.n * s.k, 2)), bias(Random(s.n, 3)), dy(Random(s.m * s.n, 4)) {}
  std::vector<float> x, w, bias, dy;
};

// Everything that the header declares, the weight gradient on top of zeros.
Result Products(Context& context, const Shape& s, const Operands& o) {
  Result r{std::vector<float>(s.m * s.n), std::vector<float>(s.m * s.k), std::vector<float>(s.n * s.k),
           std::vector<float>(s.n)};
  const Rows<const float> x(o.x.data(), s.m, s.k), w(o.w.data(), s.n, s.k), dy(o.dy.data(), s.m, s.n);
  auto bias = o.bias;
  LinearForward(context, x, w, bias, {r.y.data(), s.m, s.n});
  LinearBackwardInput(context, dy, w, false, {r.dx.data(), s.m, s.k});
  LinearBackwardWeight(context, dy, x, {r.dw.data(), s.n, s.k}, r.dbias);
  return r;
}

class LinearTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, LinearTest, testing::ValuesIn(SupportedIsas()), [](const auto& param) {
  std::string name(IsaName(param.param));
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

// gamma(n) bounds n roundings (Higham 3.1): one a fused multiply-add, on top of the start of the chain.
void ExpectWithin(const std::vector<float>& actual, const std::vector<double>& expected,
                  const std::vector<double>& magnitude, int64_t terms, const std::string& what) {
  const double nu = static_cast<double>(terms) * 0x1p-24, gamma = nu / (1 - nu) + 1e-13;
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::fabs(actual[i] - expected[i]), gamma * magnitude[i]) << what << " at " << i;
  }
}

TEST_P(LinearTest, StaysWithinItsRoundingBounds) {
  Context context(2, GetParam());
  for (const Shape& s : kShapes) {
    const Operands o(s);
    const Result r = Products(context, s, o);
    ExpectWithin(r.y, reference::Linear(Wide(o.x), Wide(o.w), Wide(o.bias), s.m, s.n, s.k),
                 reference::Linear(Magnitude(o.x), Magnitude(o.w), Magnitude(o.bias), s.m, s.n, s.k), s.k,
                 "y of " + Name(s));
    const auto g = reference::LinearBackward(Wide(o.dy), Wide(o.x), Wide(o.w), s.m, s.n, s.k);
    const auto b = reference::LinearBackward(Magnitude(o.dy), Magnitude(o.x), Magnitude(o.w), s.m, s.n, s.k);
    ExpectWithin(r.dx, g.dx, b.dx, s.n, "dx of " + Name(s));
    ExpectWithin(r.dw, g.dw, b.dw, s.m, "dw of " + Name(s));
    ExpectWithin(r.dbias, g.dbias, b.dbias, s.m, "dbias of " + Name(s));
  }
}

// The contract, spelled out: chains of fused multiply-adds in ascending order on top of what is there.
TEST_P(LinearTest, EveryOutputIsOneChain) {
  Context context(2, GetParam());
  for (const Shape& s : kShapes) {
    const Operands o(s);
    const Rows<const float> x(o.x.data(), s.m, s.k), w(o.w.data(), s.n, s.k), dy(o.dy.data(), s.m, s.n);
    auto dx = Random(s.m * s.k, 5), dw = Random(s.n * s.k, 6), dbias = Random(s.n, 7);
    auto expected_dx = dx, expected_dw = dw, expected_dbias = dbias;
    LinearBackwardInput(context, dy, w, true, {dx.data(), s.m, s.k});
    LinearBackwardWeight(context, dy, x, {dw.data(), s.n, s.k}, dbias);
    for (int64_t m = 0; m < s.m; ++m) {
      for (int64_t n = 0; n < s.n; ++n) {
        expected_dbias[n] += dy[m][n];
        for (int64_t k = 0; k < s.k; ++k) {
          expected_dx[m * s.k + k] = std::fma(dy[m][n], w[n][k], expected_dx[m * s.k + k]);
          expected_dw[n * s.k + k] = std::fma(dy[m][n], x[m][k], expected_dw[n * s.k + k]);
        }
      }
    }
    EXPECT_EQ(dx, expected_dx) << Name(s);
    EXPECT_EQ(dw, expected_dw) << Name(s);
    EXPECT_EQ(dbias, expected_dbias) << Name(s);
  }
}

TEST_P(LinearTest, RowsInSeveralCallsGiveTheBitsOfOneCall) {
  const Shape s{300, 30, 70};
  Context context(2, GetParam());
  const Operands o(s);
  const Result whole = Products(context, s, o);
  std::vector<float> dw(s.n * s.k), dbias(s.n);
  for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {1, 9}, {10, 256}, {266, 34}}) {
    LinearBackwardWeight(context, Rows<const float>(o.dy.data(), s.m, s.n).Slice(first, count),
                         Rows<const float>(o.x.data(), s.m, s.k).Slice(first, count), {dw.data(), s.n, s.k}, dbias);
  }
  EXPECT_EQ(dw, whole.dw);
  EXPECT_EQ(dbias, whole.dbias);
}

TEST_P(LinearTest, StridedViewsGiveTheSameBitsAndLeaveTheRestAlone) {
  const Shape s{21, 35, 50};
  const int64_t pad = 11;
  Context context(2, GetParam());
  const Operands o(s);
  const Result expected = Products(context, s, o);
  const auto spread = [&](const std::vector<float>& v, int64_t width) {
    std::vector<float> out(v.size() / width * (width + pad), 9.0f);
    for (size_t i = 0; i < v.size(); ++i) out[i / width * (width + pad) + i % width] = v[i];
    return out;
  };
  const auto x = spread(o.x, s.k), w = spread(o.w, s.k), dy = spread(o.dy, s.n);
  auto y = spread(std::vector<float>(s.m * s.n), s.n), dx = spread(std::vector<float>(s.m * s.k), s.k);
  auto dw = spread(std::vector<float>(s.n * s.k), s.k);
  auto bias = o.bias;
  LinearForward(context, {x.data(), s.m, s.k, s.k + pad}, {w.data(), s.n, s.k, s.k + pad}, bias,
                {y.data(), s.m, s.n, s.n + pad});
  LinearBackwardInput(context, {dy.data(), s.m, s.n, s.n + pad}, {w.data(), s.n, s.k, s.k + pad}, false,
                      {dx.data(), s.m, s.k, s.k + pad});
  LinearBackwardWeight(context, {dy.data(), s.m, s.n, s.n + pad}, {x.data(), s.m, s.k, s.k + pad},
                       {dw.data(), s.n, s.k, s.k + pad}, {});
  EXPECT_EQ(y, spread(expected.y, s.n));
  EXPECT_EQ(dx, spread(expected.dx, s.k));
  EXPECT_EQ(dw, spread(expected.dw, s.k));
}

TEST(Linear, ThreadsAndInstructionSetsChangeNoBit) {
  // Several tasks on every side, yet small enough for the baseline, which calls fmaf.
  for (const Shape& s : {Shape{70, 100, 130}, Shape{300, 40, 64}, Shape{16, 400, 40}}) {
    const Operands o(s);
    Context first(1, BestIsa());
    const Result expected = Products(first, s, o);
    for (const Isa isa : SupportedIsas()) {
      for (const int threads : {1, 2, 3, 4}) {
        Context context(threads, isa);
        EXPECT_TRUE(Products(context, s, o) == expected) << IsaName(isa) << " " << threads << " threads, " << Name(s);
      }
    }
  }
}

TEST(Linear, ThreadsShareTheWorkOfALargeProductWithoutChangingABit) {
  const Shape s{260, 400, 390};
  const Operands o(s);
  Context one(1, BestIsa()), two(2, BestIsa());
  const Result expected = Products(one, s, o);
  two.pool().ResetWorkersUsed();
  for (int call = 0; call < 2000 && two.pool().WorkersUsed() < 2; ++call) {  // a worker may wake too late for a few
    ASSERT_TRUE(Products(two, s, o) == expected);
  }
  EXPECT_EQ(two.pool().WorkersUsed(), 2);
}

// The double twins that the kernels are held against are right: central differences of sum(dy * y), which is linear in
// each operand, so that a difference errs by rounding alone: about 2^-53 * |sum| / step = 1e-12 here.
TEST(Linear, TheBackwardTwinIsTheDerivativeOfTheForwardOne) {
  const Shape s{3, 4, 5};
  const Operands o(s);
  auto x = Wide(o.x), w = Wide(o.w), bias = Wide(o.bias);
  const auto dy = Wide(o.dy);
  const auto loss = [&] {
    const auto y = reference::Linear(x, w, bias, s.m, s.n, s.k);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += dy[i] * y[i];
    return sum;
  };
  const auto g = reference::LinearBackward(dy, x, w, s.m, s.n, s.k);
  const auto check = [&](std::vector<double>& operand, const std::vector<double>& gradient) {
    ASSERT_EQ(operand.size(), gradient.size());
    for (size_t i = 0; i < operand.size(); ++i) {
      const double kept = operand[i], step = 1e-3;
      operand[i] = kept + step;
      const double up = loss();
      operand[i] = kept - step;
      const double down = loss();
      operand[i] = kept;
      EXPECT_NEAR((up - down) / (2 * step), gradient[i], 1e-11);
    }
  };
  check(x, g.dx);
  check(w, g.dw);
  check(bias, g.dbias);
}

TEST(Linear, NothingToSumStartsTheChainsOnly) {
  Context context(1, BestIsa());
  std::vector<float> bias = {1, 2, 3}, y(6, 9.0f), dx(4, 9.0f), dw(6, 5.0f);
  LinearForward(context, {nullptr, 2, 0}, {nullptr, 3, 0}, bias, {y.data(), 2, 3});
  EXPECT_EQ(y, (std::vector<float>{1, 2, 3, 1, 2, 3}));
  LinearBackwardInput(context, {nullptr, 2, 0}, {nullptr, 0, 2}, true, {dx.data(), 2, 2});
  EXPECT_EQ(dx, (std::vector<float>{9, 9, 9, 9}));
  LinearBackwardInput(context, {nullptr, 2, 0}, {nullptr, 0, 2}, false, {dx.data(), 2, 2});
  EXPECT_EQ(dx, (std::vector<float>{0, 0, 0, 0}));
  LinearBackwardWeight(context, {nullptr, 0, 3}, {nullptr, 0, 2}, {dw.data(), 3, 2}, {});
  EXPECT_EQ(dw, std::vector<float>(6, 5.0f));
}

TEST(Probe, ReadsEveryElementOnce) {
  std::vector<float> data((1 << 21) + 777, 1.0f);
  for (const Isa isa : SupportedIsas()) {
    Context context(2, isa);
    for (const int streams : {1, 7, 16}) {
      for (const int64_t ahead : {0, 1024}) {
        EXPECT_EQ(ReadProbe(context, data, streams, ahead), static_cast<float>(data.size())) << IsaName(isa);
      }
    }
  }
}

TEST(Probe, CountsTheOperationsOfEveryThread) {
  for (const Isa isa : SupportedIsas()) {
    Context one(1, isa), two(2, isa);
    EXPECT_GT(FmaProbe(one, 10), 0);
    EXPECT_EQ(FmaProbe(two, 10), 2 * FmaProbe(one, 10));
  }
}

}  // namespace
}  // namespace kinetok
