// Ten optimizer steps on one batch, beside PyTorch's: tests/golden/overfit.json, made by tools/golden/overfit.py.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/model/config.h"
#include "kinetok/model/training_pass.h"
#include "kinetok/train/optimizer.h"

namespace kinetok {
namespace {

constexpr int64_t kVocabulary = 96, kWidth = 32, kContext = 16, kBatch = 4;

ModelConfig TinyGpt2() {
  ModelConfig c;
  c.vocab_size = kVocabulary;
  c.hidden_size = kWidth;
  c.num_hidden_layers = 2;
  c.num_attention_heads = c.num_key_value_heads = 4;
  c.head_dim = 8;
  c.intermediate_size = 4 * kWidth;
  c.max_position_embeddings = kContext;
  return c;
}

TEST(OverfitTest, TenStepsGiveTheLossesOfPyTorchsAdamW) {
  const std::string file = KINETOK_SOURCE_DIR "/tests/golden/overfit.json";
  const Json golden = ParseJson(ReadFile(file), file);
  const ModelConfig config = TinyGpt2();
  const ParameterList list(config);
  std::vector<float> weights(static_cast<size_t>(list.elements)), gradients(weights.size());
  ASSERT_EQ(golden["parameters"].size(), list.all.size());
  for (size_t p = 0; p < list.all.size(); ++p) {
    const Parameter& parameter = list.all[p];
    ASSERT_EQ(golden["parameters"][p], parameter.name);
    const bool one = parameter.init == Parameter::Init::kOne;
    const float scale = parameter.is_matrix() ? 0.2f : 0.1f;
    for (int64_t i = 0; i < parameter.elements(); ++i) {
      const auto number = static_cast<float>((i * 7919 + static_cast<int64_t>(p) * 104729) % 2003 - 1001);
      weights[parameter.offset + i] = number / 1001.0f * scale + (one ? 1.0f : 0.0f);
    }
  }
  std::vector<int32_t> tokens, labels;
  for (int64_t b = 0; b < kBatch; ++b) {
    for (int64_t t = 0; t < kContext; ++t) {
      const auto at = [](int64_t i) { return static_cast<int32_t>((i * 31 + i * i * 17) % kVocabulary); };
      tokens.push_back(at(b * (kContext + 1) + t));
      labels.push_back(at(b * (kContext + 1) + t + 1));
    }
  }
  const std::vector<float> row_weights(tokens.size(), 1.0f / static_cast<float>(tokens.size()));
  const std::vector<int32_t> lengths(kBatch, kContext);
  const std::vector<uint64_t> keys = {0, 1, 2, 3};
  const TrainingBatch batch{
      .tokens = tokens, .labels = labels, .weights = row_weights, .lengths = lengths, .sample_keys = keys};

  const Json& o = golden["options"];
  Optimizer optimizer(list, {.beta1 = o["beta1"],
                             .beta2 = o["beta2"],
                             .eps = o["eps"],
                             .weight_decay = o["weight_decay"],
                             .grad_clip = o["grad_clip"]});
  Context context(2, BestIsa());
  TrainingPass pass(config, list, {.max_rows = kBatch * kContext, .max_sequences = kBatch, .max_length = kContext});
  std::vector<float> losses(tokens.size());
  ASSERT_EQ(golden["losses"].size(), 10u);
  for (int64_t step = 0; step < 10; ++step) {
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    pass.ForwardBackward(context, weights, batch, static_cast<uint64_t>(step), losses, gradients);
    pass.Finish(context, gradients);
    double loss = 0;
    for (const float row : losses) loss += static_cast<double>(row) / static_cast<double>(losses.size());
    EXPECT_NEAR(loss, golden["losses"][step].get<double>(), 1e-4) << "step " << step;
    const double norm = Optimizer::GradientNorm(context, gradients);
    EXPECT_NEAR(norm, golden["gradient_norms"][step].get<double>(), 1e-3) << "step " << step;
    optimizer.Step(context, step + 1, o["learning_rate"], norm, gradients, weights);
  }
  EXPECT_LT(golden["losses"][9].get<double>(), golden["losses"][0].get<double>() - 0.5);  // ten steps that matter
}

}  // namespace
}  // namespace kinetok
