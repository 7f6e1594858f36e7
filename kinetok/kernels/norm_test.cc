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
  reference::NormGradients ReferenceBackward(const std::vector<double>& dy, const std::vector<double>& x,
                                             const std::vector<double>& w, int64_t rows, int64_t width) const {
    return layer ? reference::LayerNormBackward(dy, x, w, kEps, rows, width)
                 : reference::RmsNormBackward(dy, x, w, kEps, rows, width);
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

// The errors that f32 may make, to first order, in units u = 2^-24 of the numbers named (Higham 3.1). A sum over a row
// runs in 64 accumulators, so that a term goes through k = ceil(width / 64) + 6 additions: its accumulator's, 2 that
// join the four vectors and 4 of the tree. Down a column a sum is one chain, each step of which rounds the sum so far
// once.
struct Bounds {
  std::vector<double> y, mean, inv, dx, dw, db;
};

Bounds BoundsOf(const Norm& norm, const Case& t, float start) {
  const std::vector<double> xs = Doubles(t.x);
  const auto n = static_cast<double>(t.width), u = kUnit;
  const double k = std::ceil(n / 64) + 6;
  Bounds b;
  b.dw.resize(t.width);
  b.db.resize(norm.layer ? t.width : 0);
  std::vector<double> chain_w(t.width, start), chain_b = chain_w;
  for (int64_t i = 0; i < t.rows; ++i) {
    const Span<const double> x(xs.data() + i * t.width, t.width);
    const float* dy = t.dy.data() + i * t.width;
    const double mean = norm.layer ? reference::Mean(x) : 0;
    const double inv = norm.layer ? reference::InverseStd(x, kEps) : reference::InverseRms(x, kEps);
    double magnitude = 0;
    for (const double v : x) magnitude += std::fabs(v) / n;
    // The mean: its sum and a division. Squares about a mean that is off by e sum to n e^2 more; each is rounded twice
    // for the difference (squared) and goes through k fused additions, a division and the addition of eps, all halved
    // by the root; the root and the reciprocal round once each.
    const double e_mean = norm.layer ? (k + 1) * u * magnitude : 0;
    const double e_inv = u * ((k + 4) / 2 + 2) + e_mean * e_mean * inv * inv / 2;  // relative
    b.mean.push_back(e_mean);
    b.inv.push_back(e_inv * inv);
    // z = (x - mean) inv: the errors of its parts, the subtraction (LayerNorm's) and the product.
    std::vector<double> z(t.width), e_z(t.width), a(t.width);
    double sum = 0, dot = 0, sum_magnitude = 0, dot_magnitude = 0, e_dot = 0;
    for (int64_t c = 0; c < t.width; ++c) {
      z[c] = (x[c] - mean) * inv;
      e_z[c] = inv * e_mean + std::fabs(z[c]) * (e_inv + (norm.layer ? 2 : 1) * u);
      a[c] = double{dy[c]} * t.weight[c];
      sum += a[c] / n;
      dot += z[c] * a[c] / n;
      sum_magnitude += std::fabs(a[c]) / n;
      dot_magnitude += std::fabs(z[c] * a[c]) / n;
      e_dot += e_z[c] * std::fabs(a[c]) / n;
      // y = z weight + bias, rounded once, as is RMSNorm's product.
      b.y.push_back(e_z[c] * t.weight[c] + u * std::fabs(z[c] * t.weight[c] + (norm.layer ? t.bias[c] : 0)));
      chain_w[c] += dy[c] * z[c];
      chain_b[c] += dy[c];
      b.dw[c] += std::fabs(dy[c]) * e_z[c] + u * std::fabs(chain_w[c]);
      if (norm.layer) b.db[c] += u * std::fabs(chain_b[c]);
    }
    if (!norm.layer) sum = sum_magnitude = 0;
    // mean(a): k fused additions and a division. mean(z a): z's errors, a's rounding, and the same.
    const double e_sum = (k + 1) * u * sum_magnitude;
    e_dot += (k + 2) * u * dot_magnitude;
    for (int64_t c = 0; c < t.width; ++c) {
      // dx = ((a - mean(a)) - z mean(z a)) inv: a is rounded, the difference (LayerNorm's), the fused step, the
      // product.
      const double inner = a[c] - sum, outer = inner - z[c] * dot;
      const double e_inner = u * std::fabs(a[c]) + e_sum + (norm.layer ? u * std::fabs(inner) : 0);
      const double e_outer = e_inner + e_z[c] * std::fabs(dot) + std::fabs(z[c]) * e_dot + u * std::fabs(outer);
      b.dx.push_back(inv * (e_outer + std::fabs(outer) * (e_inv + u)));
    }
  }
  return b;
}

class NormTest : public testing::TestWithParam<bool> {
 protected:
  Norm norm{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(LayerAndRms, NormTest, testing::Bool());

// Widths and rows that cross every loop: blocks of 64 columns, whole and partial, shared between threads; many rows.
std::vector<Shape> BoundShapes() {
  std::vector<Shape> shapes = kShapes;
  for (const int64_t width : {37, 64, 200, 700}) {
    for (const int64_t rows : {1, 3, 40, 300}) shapes.push_back({rows, width});
  }
  return shapes;
}

TEST_P(NormTest, StaysWithinItsRoundingBoundForwardAndBackward) {
  constexpr float kStart = 0.5f;  // what the gradients of the weights are added to
  Context context(3, BestIsa());
  for (const Shape s : BoundShapes()) {
    const Case t(s);
    const std::string name = std::to_string(s.rows) + " x " + std::to_string(s.width);
    std::vector<float> mean, inv, dx(t.x.size()), dw(t.width, kStart), db(t.width, kStart);
    const std::vector<float> y = norm.Forward(context, t, &mean, &inv);
    norm.Backward(context, t, mean, inv, 0, t.rows, false, &dx, &dw, &db);
    const std::vector<double> x = Doubles(t.x), w = Doubles(t.weight);
    const Bounds bounds = BoundsOf(norm, t, kStart);
    ExpectWithin(y, norm.Reference(x, w, Doubles(t.bias), t.rows, t.width), bounds.y, "y of " + name);
    std::vector<double> want_mean, want_inv;
    for (int64_t i = 0; i < t.rows; ++i) {
      const Span<const double> row(x.data() + i * t.width, t.width);
      want_mean.push_back(norm.layer ? reference::Mean(row) : 0);
      want_inv.push_back(norm.layer ? reference::InverseStd(row, kEps) : reference::InverseRms(row, kEps));
    }
    if (norm.layer) ExpectWithin(mean, want_mean, bounds.mean, "mean of " + name);
    ExpectWithin(inv, want_inv, bounds.inv, "inverse of " + name);
    reference::NormGradients want = norm.ReferenceBackward(Doubles(t.dy), x, w, t.rows, t.width);
    for (auto* sums : {&want.dweight, &want.dbias}) {
      for (double& v : *sums) v += kStart;
    }
    ExpectWithin(dx, want.dx, bounds.dx, "dx of " + name);
    ExpectWithin(dw, want.dweight, bounds.dw, "dweight of " + name);
    if (norm.layer) ExpectWithin(db, want.dbias, bounds.db, "dbias of " + name);
  }
}

// h = 1e-5. Truncation: h^2 / 6 = 1.7e-11 times a third derivative below 10 (x has a deviation of 1.4, and each
// derivative of 1 / std brings one more factor of its size). Rounding: the loss adds 111 numbers whose magnitudes sum
// to about 60, each off by a few 2^-53: 3e-14 / h = 3e-9.
TEST_P(NormTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  const Case t({3, 37});
  std::vector<double> x = Doubles(t.x), w = Doubles(t.weight), b = Doubles(t.bias);
  const std::vector<double> dy = Doubles(t.dy);
  const reference::NormGradients gradients = norm.ReferenceBackward(dy, x, w, t.rows, t.width);
  const auto loss = [&] { return Dot(norm.Reference(x, w, b, t.rows, t.width), dy); };
  ExpectNear(Slopes(x, loss), gradients.dx, 5e-9);
  ExpectNear(Slopes(w, loss), gradients.dweight, 5e-9);
  if (norm.layer) ExpectNear(Slopes(b, loss), gradients.dbias, 5e-9);
}

TEST_P(NormTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    const Case t(s);
    ExpectSameBitsEverywhere(SharesRows(s), [&](Context& context) {
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
