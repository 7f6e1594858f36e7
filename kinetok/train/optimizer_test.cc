#include "kinetok/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kinetok/model/presets.h"

namespace kinetok {
namespace {

// Numbers without pattern, the same on every machine.
float Value(int64_t i, int salt) {
  return static_cast<float>((i * 7919 + salt * 104729) % 2003 - 1001) / 4000.0f;
}

struct Plain {
  std::vector<double> w, m, v;
};

// AdamW as the paper writes it, one parameter at a time in double.
void PlainStep(const ParameterList& list, const OptimizerOptions& o, int step, double lr, double norm,
               const std::vector<float>& gradients, Plain* p) {
  const double scale = o.grad_clip > 0 && norm > o.grad_clip ? o.grad_clip / (norm + 1e-6) : 1;
  for (const Parameter& parameter : list.all) {
    const double decay = parameter.columns > 0 ? o.weight_decay : 0;
    for (int64_t i = parameter.offset; i < parameter.offset + parameter.elements(); ++i) {
      const double g = static_cast<double>(gradients[i]) * scale;
      p->w[i] -= lr * decay * p->w[i];
      p->m[i] = o.beta1 * p->m[i] + (1 - o.beta1) * g;
      p->v[i] = o.beta2 * p->v[i] + (1 - o.beta2) * g * g;
      const double m_hat = p->m[i] / (1 - std::pow(o.beta1, step)), v_hat = p->v[i] / (1 - std::pow(o.beta2, step));
      p->w[i] -= lr * m_hat / (std::sqrt(v_hat) + o.eps);
    }
  }
}

class OptimizerTest : public ::testing::TestWithParam<double> {};

TEST_P(OptimizerTest, FollowsThePlainDoubleLoopOverSeveralSteps) {
  const ParameterList list(Preset("tiny"));
  const auto n = static_cast<size_t>(list.elements);
  OptimizerOptions options;
  options.grad_clip = GetParam();
  options.weight_decay = 0.3;
  Context context(2, BestIsa());
  Optimizer optimizer(list, options);
  std::vector<float> weights(n), gradients(n);
  for (const Parameter& p : list.all) {
    for (int64_t i = p.offset; i < p.offset + p.elements(); ++i) weights[i] = Value(i, 1);
  }
  Plain plain{{weights.begin(), weights.end()}, std::vector<double>(n), std::vector<double>(n)};
  for (int step = 1; step <= 5; ++step) {
    double sum = 0;
    for (const Parameter& p : list.all) {
      for (int64_t i = p.offset; i < p.offset + p.elements(); ++i) {
        gradients[i] = Value(i, 10 + step);
        sum += static_cast<double>(gradients[i]) * static_cast<double>(gradients[i]);
      }
    }
    const double norm = Optimizer::GradientNorm(context, gradients);
    EXPECT_NEAR(norm, std::sqrt(sum), 1e-9 * norm);
    optimizer.Step(context, step, 0.01, norm, gradients, weights);
    PlainStep(list, options, step, 0.01, norm, gradients, &plain);
  }
  // A step changes a weight by about lr, with the rounding of some ten f32 operations; then 5 roundings of w itself.
  for (size_t i = 0; i < n; ++i) {
    ASSERT_NEAR(weights[i], plain.w[i], 5 * (0.01 * 20 + std::abs(plain.w[i])) * 0x1p-24) << "element " << i;
  }
}
INSTANTIATE_TEST_SUITE_P(Clipping, OptimizerTest, ::testing::Values(0.0, 1.0, 1e9));

TEST(OptimizerTest, DecaysMatricesAndEmbeddingsButNeitherBiasesNorNorms) {
  const ParameterList list(Preset("tiny"));
  Context context(1, BestIsa());
  OptimizerOptions options;
  options.weight_decay = 0.5;
  Optimizer optimizer(list, options);
  const std::vector<float> gradients(static_cast<size_t>(list.elements));
  std::vector<float> weights(gradients.size(), 1.0f);
  optimizer.Step(context, 1, 0.1, 0, gradients, weights);
  int matrices = 0, vectors = 0;
  for (const Parameter& p : list.all) {
    (p.is_matrix() ? matrices : vectors) += 1;
    for (const int64_t i : {p.offset, p.offset + p.elements() - 1}) {
      EXPECT_NEAR(weights[i], p.is_matrix() ? 0.95 : 1.0, 1e-6) << p.name;
    }
  }
  EXPECT_GT(matrices, 2);
  EXPECT_GT(vectors, 2);
  EXPECT_NEAR(weights[list.all[list.embedding].offset], 0.95, 1e-6);
  EXPECT_NEAR(weights[list.all[list.position].offset], 0.95, 1e-6);
}

TEST(OptimizerTest, TheNormOfAGradientWithANanIsNotFinite) {
  Context context(1, BestIsa());
  std::vector<float> gradients(10000, 0.5f);
  EXPECT_DOUBLE_EQ(Optimizer::GradientNorm(context, gradients), 50.0);
  gradients[7777] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(Optimizer::GradientNorm(context, gradients)));
}

}  // namespace
}  // namespace kinetok
