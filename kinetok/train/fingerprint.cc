#include "kinetok/train/fingerprint.h"

#include <algorithm>
#include <span>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/base/sha256.h"
#include "kinetok/model/presets.h"
#include "kinetok/model/training_pass.h"
#include "kinetok/train/optimizer.h"
#include "kinetok/train/schedule.h"

namespace kinetok {
namespace {

constexpr uint64_t kSeed = 20;
constexpr int32_t kLength = 70;  // crosses a block of keys

void TrainAndHash(Context& context, const ModelConfig& config, Sha256& hash) {
  const ParameterList list(config);
  std::vector<float> weights(list.elements), gradients(list.elements);
  InitializeParameters(list, kSeed, weights);
  TrainingPass pass(config, list,
                    {.max_rows = 2 * kLength, .max_sequences = 2, .max_length = kLength, .dropout_seed = kSeed});
  Optimizer optimizer(list, {});
  const Schedule schedule{.learning_rate = 3e-3, .warmup_steps = 4, .max_steps = kFingerprintSteps};
  const std::vector<float> row_weights(2 * kLength, 1.0f / (2 * kLength));
  const std::vector<int32_t> lengths(2, kLength);
  std::vector<float> losses(2 * kLength);
  for (int step = 0; step < kFingerprintSteps; ++step) {
    std::vector<int32_t> tokens, labels;
    for (uint64_t i = 0; i < 2 * kLength; ++i) {
      const auto draw = [&](uint64_t at) {
        const Philox4 bits = RandomBits(kSeed, RandomStream::kTest, static_cast<uint32_t>(step), at);
        return static_cast<int32_t>(UniformBelow(bits, static_cast<uint64_t>(config.vocab_size)));
      };
      tokens.push_back(draw(i));
      labels.push_back(draw(i + 1));
    }
    const std::vector<uint64_t> keys = {static_cast<uint64_t>(2 * step), static_cast<uint64_t>(2 * step + 1)};
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    pass.ForwardBackward(context, weights, {tokens, labels, row_weights, lengths, keys}, static_cast<uint64_t>(step),
                         losses, gradients);
    pass.Finish(context, gradients);
    optimizer.Step(context, step + 1, LearningRate(schedule, step), Optimizer::GradientNorm(context, gradients),
                   gradients, weights);
  }
  for (const Parameter& p : list.all) {
    hash.Update(std::as_bytes(std::span(weights).subspan(p.offset, p.elements())));
  }
}

}  // namespace

std::string TrainingFingerprint(Context& context) {
  ModelConfig gpt2 = Preset("tiny");
  gpt2.embd_pdrop = gpt2.attn_pdrop = gpt2.resid_pdrop = 0.1;
  Sha256 hash;
  TrainAndHash(context, gpt2, hash);
  TrainAndHash(context, Preset("tiny-llama"), hash);
  return hash.Hex();
}

}  // namespace kinetok
