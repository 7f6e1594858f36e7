#include "kinetok/kernels/norm.h"

#include "kinetok/kernels/reference/norm.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

constexpr float kEps = 1e-5f;

struct Case {
  int64_t rows, width;
  std::vector<float> x, dy, weight, bias;
  explicit Case(Shape s, double low = -2, double high = 3)
      : rows(s.rows),
        width(s.width),
        x(Numbers(rows * width, 1, low, high)),
        dy(Numbers(rows * width, 2)),
        weight(Numbers(width, 3, 0.5, 1.5)),
        bias(Numbers(width, 4)) {}
};

// Both norms behind one face, so that every test below covers both.
struct Norm {
  bool layer;
  std::vector<float> Forward(Context& context, const Case& t, std::vector<float>* mean, std::vector<float>* inv) const {
    std::vector<float> y(t.x.size());
    mean->resize(t.rows);
    inv->resize(t.rows);
    if (layer) {
      LayerNorm(context, View(t.x, t.width), t.weight, t.bias, kEps, View(y, t.width), *mean, *inv);
    } else {
      RmsNorm(context, View(t.x, t.width), t.weight, kEps, View(y, t.width), *inv);
    }
    return y;
  }
  std::vector<double> Reference(const std::vector<double>& x, const std::vector<double>& w,
                                const std::vector<double>& b, int64_t rows, int64_t width) const {
    return layer ? reference::LayerNorm(x, w, b, kEps, rows, width) : reference::RmsNorm(x, w, kEps, rows, width);
  }
  // Rows [first, first + count): dx, dw and db are where they accumulate.
  void Backward(Context& context, const Case& t, const std::vector<float>& mean, const std::vector<float>& inv,
                int64_t first, int64_t count, bool accumulate, std::vector<float>* dx, std::vector<float>* dw,
                std::vector<float>* db) const {
    const auto dy = View(t.dy, t.width).Slice(first, count), x = View(t.x, t.width).Slice(first, count);
    const auto out = View(*dx, t.width).Slice(first, count);
    const Span<const float> inv_rows(inv.data() + first, count), mean_rows(mean.data() + first, count);
    if (layer) {
      LayerNormBackward(context, dy, x, t.weight, mean_rows, inv_rows, accumulate, out, *dw, *db);
    } else {
      RmsNormBackward(context, dy, x, t.weight, inv_rows, accumulate, out, *dw);
    }
  }
};

class NormTest : public testing::TestWithParam<bool> {
 protected:
  Norm norm{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(LayerAndRms, NormTest, testing::Bool());

// A sum of `width` terms in 64 accumulators is off by at most (width / 64 + 7) units of the sum of magnitudes (Higham
// 4.2): that many of max |x| for the mean, the same again, relatively, for the sum of squares (halved by the root).
// Ten more cover the subtraction, division, root, products and bias.
TEST_P(NormTest, StaysWithinItsRoundingBound) {
  for (const Shape s : kShapes) {
    const Case t(s);
    Context context(1, BestIsa());
    std::vector<float> mean, inv;
    const std::vector<float> y = norm.Forward(context, t, &mean, &inv);
    const std::vector<double> want = norm.Reference(Doubles(t.x), Doubles(t.weight), Doubles(t.bias), t.rows, t.width);
    for (size_t i = 0; i < y.size(); ++i) {
      const double units = static_cast<double>(t.width) / 64 + 17;
      const double bound = kUnit * units * (std::fabs(want[i]) + 3.0 * inv[i / t.width] + 2);
      ASSERT_NEAR(y[i], want[i], bound) << t.rows << " x " << t.width << " at " << i;
    }
  }
}

// Central differences of the double twin (error about h^2 = 1e-10 of the third derivative) against f32 sums of `width`
// terms: 1e-4 of the largest gradient is far above both and far below any wrong term.
TEST_P(NormTest, BackwardIsTheDerivative) {
  const Case t({3, 37});
  Context context(2, BestIsa());
  std::vector<float> mean, inv, dx(t.x.size()), dw(t.width), db(t.width);
  norm.Forward(context, t, &mean, &inv);
  norm.Backward(context, t, mean, inv, 0, t.rows, false, &dx, &dw, &db);
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& w, const std::vector<double>& b) {
    const std::vector<double> y = norm.Reference(x, w, b, t.rows, t.width);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * t.dy[i];
    return sum;
  };
  const std::vector<double> x0 = Doubles(t.x), w0 = Doubles(t.weight), b0 = Doubles(t.bias);
  const auto slope = [&](std::vector<double> at, size_t i, auto f) {
    const double middle = at[i];
    return Slope([&](double v) { return at[i] = v, f(at); }, middle);
  };
  for (size_t i = 0; i < x0.size(); ++i)
    EXPECT_NEAR(dx[i], slope(x0, i, [&](auto& x) { return loss(x, w0, b0); }), 1e-4);
  for (size_t i = 0; i < w0.size(); ++i) {
    EXPECT_NEAR(dw[i], slope(w0, i, [&](auto& w) { return loss(x0, w, b0); }), 1e-4);
    if (!norm.layer) continue;
    EXPECT_NEAR(db[i], slope(b0, i, [&](auto& b) { return loss(x0, w0, b); }), 1e-4);
  }
}

TEST_P(NormTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    const Case t(s);
    ExpectSameBitsEverywhere([&](Context& context) {
      std::vector<float> mean, inv, dx(t.x.size()), dw(t.width, 0.25f), db(t.width, 0.5f);
      std::vector<float> all = norm.Forward(context, t, &mean, &inv);
      norm.Backward(context, t, mean, inv, 0, t.rows, false, &dx, &dw, &db);
      for (const auto* part : {&mean, &inv, &dx, &dw, &db}) all.insert(all.end(), part->begin(), part->end());
      return all;
    });
  }
}

TEST_P(NormTest, SplittingTheRowsOverCallsChangesNoBit) {
  for (const Shape s : {Shape{700, 17}, Shape{300, 130}}) {
    const Case t(s);
    Context context(2, BestIsa());
    std::vector<float> mean, inv, dx(t.x.size()), dw(t.width, 1.0f), db(t.width, 2.0f), dx2 = dx, dw2 = dw, db2 = db;
    norm.Forward(context, t, &mean, &inv);
    norm.Backward(context, t, mean, inv, 0, t.rows, false, &dx, &dw, &db);
    norm.Backward(context, t, mean, inv, 0, 101, false, &dx2, &dw2, &db2);
    norm.Backward(context, t, mean, inv, 101, t.rows - 101, false, &dx2, &dw2, &db2);
    EXPECT_TRUE(SameBits(dx, dx2) && SameBits(dw, dw2) && SameBits(db, db2));
  }
}

TEST_P(NormTest, AccumulatingAddsToDx) {
  const Case t({3, 33});
  Context context(1, BestIsa());
  std::vector<float> mean, inv, plain(t.x.size(), 7.0f), added(t.x.size(), 0.5f), dw(t.width), db(t.width);
  norm.Forward(context, t, &mean, &inv);
  norm.Backward(context, t, mean, inv, 0, 3, false, &plain, &dw, &db);
  norm.Backward(context, t, mean, inv, 0, 3, true, &added, &dw, &db);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(added[i], 0.5f + plain[i]);
}

TEST_P(NormTest, ANanSpoilsItsOwnRowOnly) {
  Case t({3, 40});
  t.x[40] = NAN;
  Context context(1, BestIsa());
  std::vector<float> mean, inv;
  const std::vector<float> y = norm.Forward(context, t, &mean, &inv);
  for (int i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(y[i]), i / 40 == 1) << i;
}

TEST(LayerNormTest, AConstantRowBecomesTheBias) {
  Context context(1, BestIsa());
  const std::vector<float> x(48, 3.0f), weight(48, 2.0f), bias = Numbers(48, 5);
  std::vector<float> y(48);
  LayerNorm(context, View(x, 48), weight, bias, kEps, View(y, 48), {}, {});
  EXPECT_TRUE(SameBits(y, bias));
  LayerNorm(context, View(x, 48), weight, {}, kEps, View(y, 48), {}, {});
  EXPECT_TRUE(SameBits(y, std::vector<float>(48)));
}

}  // namespace
}  // namespace kinetok
