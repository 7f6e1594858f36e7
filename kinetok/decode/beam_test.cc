#include "kinetok/decode/beam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kinetok/decode/decode_test_support.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/logits.h"
#include "kinetok/decode/test_reciter.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Ids = std::vector<int32_t>;

Ids MakePrompt(int64_t length) {
  Ids ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back((5 + i * 37) % 30);
  return ids;
}

class BeamTest : public ::testing::Test {
 protected:
  // The sum of the log-probabilities of `next` after `prompt`, computed in one go.
  double LogProbabilityOf(const Model& model, const Ids& prompt, const Ids& next) {
    Ids all = prompt;
    all.insert(all.end(), next.begin(), next.end() - 1);
    double sum = 0;
    ForEachLogits(context_, model, all, [&](int64_t first, Rows<const float> logits) {
      for (int64_t i = 0; i < logits.rows; ++i) {
        const int64_t index = first + i + 1 - static_cast<int64_t>(prompt.size());
        if (index < 0) continue;
        sum += LogProbability({logits[i], static_cast<size_t>(logits.width)}, next[static_cast<size_t>(index)]);
      }
    });
    return sum;
  }
  std::shared_ptr<const Model> SmallVocabulary() {
    ModelConfig config = Preset("tiny");
    config.vocab_size = 30;
    config.eos_token_ids = {};
    return Model::Random(context_, config, /*seed=*/3, DType::kF32);
  }

  Context context_{2, BestIsa()};
  std::shared_ptr<const Tokenizer> tokenizer_ = ByteTokenizer();
  std::shared_ptr<const Model> reciter_ = Reciter(context_, tokenizer_);
  GenerateOptions options_{.max_new_tokens = 12, .beams = {.num_beams = 4}, .num_return_sequences = 4};
};

TEST_F(BeamTest, AsManyBeamsAsTokensFindTheBestOfAllPairs) {
  const auto model = SmallVocabulary();
  options_ = {.max_new_tokens = 2, .beams = {.num_beams = 30, .length_penalty = 0}};
  const Generation found = Generate(context_, model, MakePrompt(9), options_);
  double best = -1e9;
  Ids expected;
  for (int32_t a = 0; a < 30; ++a) {
    for (int32_t b = 0; b < 30; ++b) {
      const double sum = LogProbabilityOf(*model, MakePrompt(9), {a, b});
      if (sum > best) expected = {a, b};
      best = std::max(best, sum);
    }
  }
  EXPECT_EQ(found.tokens, expected);
  EXPECT_NEAR(*found.score, best, 1e-12);
}

TEST_F(BeamTest, ScoresAreThoseOfTheTextsComputedInOneGo) {
  // Lengths on both sides of a page of keys, so that forks share full and partial ones.
  const auto model = SmallVocabulary();
  for (const int64_t length : {1, 50, 63, 64, 65, 100}) {
    const Generation g = Generate(context_, model, MakePrompt(length), options_);
    std::vector<Generation> all = g.runners_up;
    all.insert(all.begin(), g);
    ASSERT_EQ(all.size(), 4u);
    for (size_t i = 0; i < all.size(); ++i) {
      const auto count = static_cast<double>(all[i].tokens.size());
      EXPECT_NEAR(*all[i].score, LogProbabilityOf(*model, MakePrompt(length), all[i].tokens) / count, 1e-12) << length;
      if (i > 0) {
        EXPECT_LE(*all[i].score, *all[i - 1].score);
      }
    }
  }
}

TEST_F(BeamTest, LogprobsBelongToTheTextThatWon) {
  const auto model = SmallVocabulary();
  options_.logprobs = true;
  options_.top_logprobs = 2;
  const Generation g = Generate(context_, model, MakePrompt(20), options_);
  ASSERT_EQ(g.logprobs.size(), g.tokens.size());
  EXPECT_NEAR(std::accumulate(g.logprobs.begin(), g.logprobs.end(), 0.0) / 12, *g.score, 1e-12);
  ASSERT_EQ(g.top_logprobs.size(), g.tokens.size());
  EXPECT_EQ(g.top_logprobs[3].size(), 2u);
}

TEST_F(BeamTest, ABatchOnAnyThreadsGivesWhatEachPromptGivesAlone) {
  const auto model = SmallVocabulary();
  const std::vector<Ids> prompts = {MakePrompt(1), MakePrompt(70), MakePrompt(9), MakePrompt(30)};
  Context other(1, BestIsa());
  for (const int64_t max_batch : {1, 3, 64}) {
    options_.max_batch = max_batch;
    const std::vector<Generation> together = GenerateBatch(context_, model, prompts, options_);
    for (size_t i = 0; i < prompts.size(); ++i) {
      const Generation alone = Generate(other, model, prompts[i], options_);
      EXPECT_EQ(together[i].tokens, alone.tokens);
      EXPECT_EQ(together[i].score, alone.score);
      EXPECT_EQ(together[i].runners_up.back().tokens, alone.runners_up.back().tokens);
    }
  }
}

TEST_F(BeamTest, AStopStringEndsABeamAndTheTextBeforeIt) {
  GenerateOptions options{.stop = {"zzz", "한!-x"}, .beams = {.num_beams = 3, .early_stopping = EarlyStopping::kTrue}};
  const Generation g = Generate(context_, reciter_, "t", options);
  EXPECT_EQ(g.text, "o b");
  EXPECT_EQ(g.finish_reason, FinishReason::kStop);
  EXPECT_EQ(g.tokens.size(), 9u);
  options.stop = {};
  EXPECT_EQ(Generate(context_, reciter_, "t", options).text, "o b한!-xyz");
  EXPECT_EQ(Generate(context_, reciter_, "t", options).finish_reason, FinishReason::kEos);
  options.stop = {"xyz?"};  // held back, and given out at the end
  EXPECT_EQ(Generate(context_, reciter_, "!", options).text, "-xyz");
}

TEST_F(BeamTest, TheTokensComeWholeOnceTheBestTextIsKnownAndTheCallbackCanCutIt) {
  const GenerateOptions options{.beams = {.num_beams = 3}};
  std::vector<std::string> pieces;
  Generate(context_, reciter_, "o", options, [&](const Token& token) {
    pieces.push_back(token.text);
    return Flow::kContinue;
  });
  EXPECT_THAT(pieces, ElementsAre(" ", "b", "", "", "한", "!", "-", "x", "y", "z", ""));
  int count = 0;
  const Generation cut = Generate(context_, reciter_, "o", options,
                                  [&](const Token&) { return ++count == 2 ? Flow::kStop : Flow::kContinue; });
  EXPECT_EQ(cut.text, " b");
  EXPECT_EQ(cut.finish_reason, FinishReason::kStop);
}

TEST_F(BeamTest, ACancelledSearchGivesTheBestTextSoFar) {
  const auto model = SmallVocabulary();
  for (const int steps : {0, 1, 5}) {
    int asked = 0;
    options_.cancelled = [&] { return asked++ == steps; };
    const Generation g = Generate(context_, model, MakePrompt(20), options_);
    EXPECT_EQ(g.tokens.size(), static_cast<size_t>(steps));
    EXPECT_EQ(g.prompt_tokens, steps == 0 ? 0 : 20);
    EXPECT_EQ(g.finish_reason, FinishReason::kStop);
    EXPECT_EQ(asked, steps + 1);
  }
}

TEST_F(BeamTest, BannedContinuationsEndASearchOnlyWhenNothingIsLeft) {
  const auto model = SmallVocabulary();
  options_.max_new_tokens = 20;
  options_.num_return_sequences = 1;
  options_.sampler = {.no_repeat_ngram_size = 1};
  EXPECT_THAT(ErrorOf([&] { Generate(context_, model, MakePrompt(30), options_); }),
              StartsWith("no token is left to choose new token 0 from"));
  // After 20 distinct tokens of 30 there are ten more.
  options_.max_new_tokens = 10;
  Ids all = MakePrompt(20);
  const Generation g = Generate(context_, model, all, options_);
  all.insert(all.end(), g.tokens.begin(), g.tokens.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), 30);
}

TEST_F(BeamTest, TwoAllowedTokensLeaveFewerBeamsThanAskedFor) {
  const auto model = SmallVocabulary();
  options_.max_new_tokens = 1;
  options_.sampler = {.allowed_tokens = {{4, 9}}};
  const Generation g = Generate(context_, model, MakePrompt(5), options_);
  EXPECT_EQ(g.runners_up.size(), 1u);
  EXPECT_EQ(g.tokens[0] + g.runners_up[0].tokens[0], 13);
}

TEST_F(BeamTest, OptionsThatCannotBeAreErrorsThatNameTheField) {
  const auto error = [](const GenerateOptions& options) { return ErrorOf([&] { options.Check(); }); };
  EXPECT_THAT(error({.beams = {.num_beams = 0}}), StartsWith("num_beams is 0;"));
  EXPECT_THAT(error({.beams = {.num_beams = 100000}}), StartsWith("num_beams is 100000;"));
  EXPECT_THAT(error({.beams = {.length_penalty = std::nan("")}}), StartsWith("length_penalty is nan;"));
  EXPECT_THAT(error({.sampler = {.temperature = 0.5}, .beams = {.num_beams = 2}}), StartsWith("num_beams is 2;"));
  EXPECT_THAT(error({.sampler = {.min_p = 0.5}, .beams = {.num_beams = 2}}), HasSubstr("draws nothing"));
  EXPECT_THAT(error({.beams = {.num_beams = 2}, .best_of = 2}), StartsWith("num_beams is 2;"));
  EXPECT_THAT(error({.beams = {.num_beams = 2}, .num_return_sequences = 3}),
              StartsWith("num_return_sequences is 3; it must be 1 to 2"));
  EXPECT_THAT(error({.best_of = 0}), StartsWith("best_of is 0;"));
  EXPECT_THAT(error({.sampler = {.greedy = true}, .best_of = 2}), StartsWith("best_of is 2;"));
  EXPECT_EQ(error({.sampler = {.temperature = 0}, .beams = {.num_beams = 2}}), "");
  EXPECT_EQ(error({.best_of = 3, .num_return_sequences = 3}), "");
  EXPECT_THAT(ErrorOf([] { ParseEarlyStopping("maybe"); }), StartsWith("early_stopping is \"maybe\";"));
  EXPECT_EQ(ParseEarlyStopping("never"), EarlyStopping::kNever);
}

TEST_F(BeamTest, BestOfGivesTheSampleWithTheHighestMeanLogProbability) {
  const auto model = SmallVocabulary();
  GenerateOptions options{.sampler = {.seed = 4}, .max_new_tokens = 12, .logprobs = true};
  std::vector<Generation> samples;
  const auto mean = [](const Generation& g) {
    return std::accumulate(g.logprobs.begin(), g.logprobs.end(), 0.0) / static_cast<double>(g.logprobs.size());
  };
  for (uint32_t i = 0; i < 5; ++i) {
    options.sampler.sequence = i;
    samples.push_back(Generate(context_, model, MakePrompt(70), options));
  }
  std::stable_sort(samples.begin(), samples.end(),
                   [&](const Generation& a, const Generation& b) { return mean(a) > mean(b); });
  options.sampler.sequence = 0;
  options.best_of = 5;
  options.num_return_sequences = 3;
  std::vector<Ids> seen(2);
  const std::vector<Ids> prompts = {MakePrompt(9), MakePrompt(70)};
  const std::vector<Generation> best = GenerateBatch(context_, model, prompts, options, [&](size_t i, const Token& t) {
    seen[i].push_back(t.id);
    return Flow::kContinue;
  });
  EXPECT_EQ(best[1].tokens, samples[0].tokens);
  EXPECT_EQ(best[1].logprobs, samples[0].logprobs);
  EXPECT_DOUBLE_EQ(*best[1].score, mean(samples[0]));
  ASSERT_EQ(best[1].runners_up.size(), 2u);
  EXPECT_EQ(best[1].runners_up[1].tokens, samples[2].tokens);
  EXPECT_EQ(seen[1], best[1].tokens);
  EXPECT_EQ(seen[0], best[0].tokens);
}

TEST_F(BeamTest, BestOfEndsEachSampleAtItsStopString) {
  const GenerateOptions options{.sampler = {.temperature = 0.9}, .stop = {"한!-x"}, .best_of = 3};
  const Generation g = Generate(context_, reciter_, "t", options);
  EXPECT_EQ(g.text, "o b");
  EXPECT_EQ(g.finish_reason, FinishReason::kStop);
}

}  // namespace
}  // namespace kinetok
