#include "kinetok/kernels/layer_scale.h"

#include "kinetok/kernels/reference/layer_scale.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

std::vector<float> Magnitudes(const std::vector<float>& x) {
  std::vector<float> out = x;
  for (float& v : out) v = std::fabs(v);
  return out;
}

TEST(LayerScaleTest, MultipliesEveryColumnByItsFactor) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 1), gamma = Numbers(s.width, 2);
    const std::vector<double> exact = reference::LayerScale(Doubles(x), Doubles(gamma));
    const std::vector<float> want(exact.begin(), exact.end());  // one product, rounded once
    ExpectBitsEverywhere(want, SharesRows(s, 32768), [&](Context& context) {
      std::vector<float> y(x.size());
      LayerScale(context, View(x, s.width), gamma, View(y, s.width));
      return y;
    });
  }
}

TEST(LayerScaleTest, BackwardStaysWithinItsRoundingBoundWithTheSameBitsEverywhere) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 3), gamma = Numbers(s.width, 4),
                             dy = Numbers(s.rows * s.width, 5), before = Numbers(s.width, 6);
    const auto run = [&](Context& context) {
      std::vector<float> dx(x.size()), dgamma = before;
      LayerScaleBackward(context, View(dy, s.width), View(x, s.width), gamma, View(dx, s.width), dgamma);
      dx.insert(dx.end(), dgamma.begin(), dgamma.end());
      return dx;
    };
    ExpectSameBitsEverywhere((s.width > 64) && s.rows * s.width > 16384 + 64 * s.rows, run);

    const reference::LayerScaleGradient exact = reference::LayerScaleBackward(Doubles(dy), Doubles(x), Doubles(gamma));
    const reference::LayerScaleGradient sizes =
        reference::LayerScaleBackward(Doubles(Magnitudes(dy)), Doubles(Magnitudes(x)), Doubles(Magnitudes(gamma)));
    std::vector<double> want = exact.dx, bound;
    for (const double m : sizes.dx) bound.push_back(kUnit * m);  // one product
    for (int64_t c = 0; c < s.width; ++c) {
      want.push_back(before[c] + exact.dgamma[c]);
      // `rows` fused additions to what was there (Higham 3.1).
      bound.push_back(kUnit * static_cast<double>(s.rows) * (std::fabs(before[c]) + sizes.dgamma[c]));
    }
    Context context(1, BestIsa());
    ExpectWithin(run(context), want, bound, "the gradient");
  }
}

TEST(LayerScaleTest, BackwardIsTheDerivative) {
  std::vector<double> x = Doubles(Numbers(3 * 5, 7)), gamma = Doubles(Numbers(5, 8));
  const std::vector<double> dy = Doubles(Numbers(3 * 5, 9));
  const auto f = [&] { return Dot(dy, reference::LayerScale(x, gamma)); };
  const reference::LayerScaleGradient g = reference::LayerScaleBackward(dy, x, gamma);
  // Bilinear: no truncation; rounding 1e-15 / 1e-5.
  ExpectNear(g.dx, Slopes(x, f), 1e-9);
  ExpectNear(g.dgamma, Slopes(gamma, f), 1e-9);
}

}  // namespace
}  // namespace kinetok
