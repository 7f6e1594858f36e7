#include "kinetok/kernels/adamw.h"

#include "kinetok/kernels/reference/adamw.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

constexpr AdamWStep kStep = {.learning_rate = 1e-2f,
                             .beta1 = 0.9f,
                             .beta2 = 0.99f,
                             .eps = 1e-8f,
                             .weight_decay = 0.1f,
                             .bias_correction1 = 0.271f,
                             .bias_correction2 = 0.0297f,
                             .gradient_scale = 0.5f};

// Three roundings for m and four for v, relatively where no sign cancels (m's terms are bounded by their magnitudes);
// the update adds six more, times the rate; the weight two.
TEST(AdamWTest, StaysWithinItsRoundingBound) {
  const size_t n = 1003;
  Context context(1, BestIsa());
  const std::vector<float> g = Numbers(n, 1), w0 = Numbers(n, 2), m0 = Numbers(n, 3), v0 = Numbers(n, 4, 0.01, 1);
  std::vector<float> w = w0, m = m0, v = v0;
  AdamW(context, kStep, g, w, m, v);
  for (size_t i = 0; i < n; ++i) {
    double rw = w0[i], rm = m0[i], rv = v0[i];
    reference::AdamW(kStep, g[i], &rw, &rm, &rv);
    const double update = 1e-2 / 0.271 / std::sqrt(rv / 0.0297);  // times m
    ASSERT_NEAR(m[i], rm, 4 * kUnit * (std::fabs(m0[i]) + 0.1));
    ASSERT_NEAR(v[i], rv, 5 * kUnit * rv);
    ASSERT_NEAR(w[i], rw, kUnit * (3 * std::fabs(w0[i]) + 16 * update));
  }
}

TEST(AdamWTest, AZeroGradientOnlyDecaysTheWeight) {
  Context context(1, BestIsa());
  std::vector<float> g(5), w(5, 2.0f), m(5), v(5);
  AdamW(context, kStep, g, w, m, v);
  for (const float x : w) EXPECT_FLOAT_EQ(x, 2.0f * (1 - 1e-3f));
}

TEST(AdamWTest, ANanGradientSpoilsItsOwnElementOnly) {
  for (const Isa isa : SupportedIsas()) {
    Context context(1, isa);
    std::vector<float> g = Numbers(20, 5), w(20, 1.0f), m(20), v(20);
    g[7] = NAN;
    AdamW(context, kStep, g, w, m, v);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(w[i]), i == 7);
  }
}

TEST(AdamWTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const size_t n : {1, 15, 17, 100003}) {
    const std::vector<float> g = Numbers(n, 6), w0 = Numbers(n, 7), m0 = Numbers(n, 8), v0 = Numbers(n, 9, 0, 1);
    ExpectSameBitsEverywhere(n > 32768, [&](Context& context) {
      std::vector<float> w = w0, m = m0, v = v0;
      AdamW(context, kStep, g, w, m, v);
      w.insert(w.end(), m.begin(), m.end());
      w.insert(w.end(), v.begin(), v.end());
      return w;
    });
  }
}

}  // namespace
}  // namespace kinetok
