// The processors and filters beside transformers' on random logits: tests/golden/processors.json, written by
// tools/golden/make_decoding_golden.py, which says how the logits are drawn.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kinetok/base/random.h"
#include "kinetok/decode/sampler.h"
#include "kinetok/model/golden_models.h"

namespace kinetok {
namespace {

using Ids = std::vector<int32_t>;

std::vector<float> DrawLogits(uint64_t seed, const Json& golden) {
  const uint32_t row = golden.at("row");
  std::vector<float> logits;
  for (uint64_t i = 0; i < golden.at("vocab"); ++i) {
    float sum = -2;
    for (uint32_t k = 0; k < 4; ++k) {
      sum += static_cast<float>(RandomBits(seed, RandomStream::kTest, 4 * row + k, i)[0] >> 12) * 0x1p-20f;
    }
    logits.push_back(sum * golden.at("scale").get<float>());
  }
  return logits;
}

SamplerOptions OptionsOf(const Json& json) {
  // Ties with the k-th: as transformers.
  SamplerOptions o{.temperature = json.value("temperature", 1.0),
                   .top_k = json.value("top_k", int64_t{0}),
                   .top_k_ties = TopKTies::kAll,
                   .top_p = json.value("top_p", 1.0),
                   .min_p = json.value("min_p", 0.0),
                   .typical_p = json.value("typical_p", 1.0),
                   .repetition_penalty = json.value("repetition_penalty", 1.0),
                   .no_repeat_ngram_size = json.value("no_repeat_ngram_size", int64_t{0}),
                   .bad_words = json.value("bad_words", std::vector<Ids>()),
                   .min_new_tokens = json.value("min_new_tokens", int64_t{0})};
  if (json.contains("allowed_tokens")) o.allowed_tokens = {json.at("allowed_tokens").get<Ids>()};
  for (const Json& pair : json.value("logit_bias", Json::array())) o.logit_bias.push_back({pair.at(0), pair.at(1)});
  return o;
}

TEST(ProcessorsGolden, KeepWhatTransformersKeepsWithTheSameProbabilities) {
  const Json golden = ReadGolden("processors.json");
  const Ids eos = golden.at("eos");
  ASSERT_GT(golden.at("cases").size(), 70u);
  for (const Json& c : golden.at("cases")) {
    SCOPED_TRACE(c.at("options").dump() + ", vocabulary " + c.at("vocab").dump());
    const std::vector<float> logits = DrawLogits(golden.at("seed"), c);
    const SamplerOptions options = OptionsOf(c.at("options"));
    const Ids tokens = c.at("tokens");
    const History history{tokens, c.at("prompt_tokens"), eos};
    const Distribution distribution = Distribute(logits, options, history);
    Ids kept;
    for (const TokenProbability& t : distribution.kept) kept.push_back(t.token);
    std::sort(kept.begin(), kept.end());
    EXPECT_EQ(kept, c.at("kept").get<Ids>());
    EXPECT_NEAR(distribution.entropy, c.at("entropy").get<double>(), 1e-12);

    if (!c.contains("changed")) continue;
    std::vector<double> processed(logits.begin(), logits.end());
    ASSERT_TRUE(ProcessLogits(options, history, processed));
    size_t changed = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (std::isfinite(processed[i]) && processed[i] != static_cast<double>(logits[i])) ++changed;
    }
    EXPECT_EQ(changed, c.at("changed").size());
    for (const Json& pair : c.at("changed")) {
      EXPECT_NEAR(processed[pair.at(0).get<size_t>()], pair.at(1).get<double>(), 1e-12) << pair;
    }
  }
}

}  // namespace
}  // namespace kinetok
