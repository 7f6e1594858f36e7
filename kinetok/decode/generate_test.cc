#include "kinetok/decode/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kinetok/decode/decode_test_support.h"
#include "kinetok/decode/test_reciter.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GenerateTest : public ::testing::Test {
 protected:
  Context context_{1, BestIsa()};
  std::shared_ptr<const Tokenizer> tokenizer_ = ByteTokenizer();
  std::shared_ptr<const Model> model_ = Reciter(context_, tokenizer_);
  GenerateOptions greedy_{.sampler = {.greedy = true}};
};

TEST_F(GenerateTest, ContinuesTheTextUpToTheEnd) {
  const Generation g = Generate(context_, model_, "t", greedy_);
  EXPECT_EQ(g.text, "o b한!-xyz");
  EXPECT_EQ(g.finish_reason, FinishReason::kEos);
  EXPECT_EQ(g.prompt_tokens, 1);
  EXPECT_EQ(g.tokens.size(), kScript.size());
  EXPECT_EQ(g.tokens.back(), *tokenizer_->eos_id());
  EXPECT_TRUE(g.logprobs.empty());
}

TEST_F(GenerateTest, EndsAfterMaxNewTokens) {
  greedy_.max_new_tokens = 3;
  const Generation g = Generate(context_, model_, "t", greedy_);
  EXPECT_EQ(g.text, "o b");
  EXPECT_EQ(g.finish_reason, FinishReason::kLength);
}

TEST_F(GenerateTest, StreamsWholeCharactersThatAddUpToTheText) {
  std::vector<std::string> pieces;
  Generate(context_, model_, "o", greedy_, [&](const Token& token) {
    pieces.push_back(token.text);
    return Flow::kContinue;
  });
  EXPECT_THAT(pieces, ElementsAre(" ", "b", "", "", "한", "!", "-", "x", "y", "z", ""));
}

TEST_F(GenerateTest, ACharacterCutByTheLimitIsReplaced) {
  greedy_.max_new_tokens = 2;
  const Generation g = Generate(context_, model_, "b", greedy_);
  EXPECT_EQ(g.text, "\xEF\xBF\xBD");
}

TEST_F(GenerateTest, AStopStringAcrossTokensEndsTheTextBeforeIt) {
  greedy_.stop = {"zzz", "한!-x"};
  std::string streamed;
  const Generation g = Generate(context_, model_, "t", greedy_, [&](const Token& token) {
    streamed += token.text;
    return Flow::kContinue;
  });
  EXPECT_EQ(g.text, "o b");
  EXPECT_EQ(streamed, g.text);
  EXPECT_EQ(g.finish_reason, FinishReason::kStop);
  EXPECT_EQ(g.tokens.size(), 9u);  // with those of the stop string
}

TEST_F(GenerateTest, TextHeldForAStopStringComesOutWhenNoneAppears) {
  greedy_.stop = {"xyz?"};
  const Generation g = Generate(context_, model_, "!", greedy_);
  EXPECT_EQ(g.text, "-xyz");
  EXPECT_EQ(g.finish_reason, FinishReason::kEos);
}

TEST_F(GenerateTest, TheCallbackCanStop) {
  int count = 0;
  const Generation g = Generate(context_, model_, "t", greedy_,
                                [&](const Token&) { return ++count == 2 ? Flow::kStop : Flow::kContinue; });
  EXPECT_EQ(g.text, "o ");
  EXPECT_EQ(g.tokens.size(), 2u);
  EXPECT_EQ(g.finish_reason, FinishReason::kStop);
}

TEST_F(GenerateTest, LogProbabilitiesAreOfTheModelAndNotOfTheSampler) {
  GenerateOptions options{.sampler = {.top_k = 1}, .max_new_tokens = 2, .logprobs = true};
  const Generation sure = Generate(context_, model_, "t", options);
  ASSERT_EQ(sure.logprobs.size(), 2u);
  EXPECT_NEAR(sure.logprobs[0], 0, 1e-9);
  // After the end of the text nothing follows: LayerNorm leaves the 271 other columns of the unit vector at
  // -mean / std, where the tokens of the script have a head weight of 10 and all others 0.
  const double mean = 1.0 / 272, other = -mean / std::sqrt(mean * (1 - mean) + 1e-5);
  const auto scripted = static_cast<double>(tokenizer_->Encode(kScript).size());
  const std::vector<int32_t> end = {*tokenizer_->eos_id()};
  EXPECT_NEAR(Generate(context_, model_, end, options).logprobs[0],
              -std::log(257 - scripted + scripted * std::exp(10 * other)), 1e-6);
}

TEST_F(GenerateTest, ABatchGivesWhatEachPromptGivesAlone) {
  const auto random = Model::Random(context_, Preset("tiny"), /*seed=*/5, DType::kF32);
  const GenerateOptions options{.sampler = {.top_p = 0.9, .seed = 2}, .max_new_tokens = 10, .logprobs = true};
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t length : {1, 2, 70, 9, 30}) {
    prompts.emplace_back();
    for (int32_t i = 0; i < length; ++i) prompts.back().push_back((length * 31 + i * 7) % 512);
  }
  for (int64_t max_batch : {1, 2, 64}) {
    GenerateOptions batch = options;
    batch.max_batch = max_batch;
    std::vector<std::vector<int32_t>> seen(prompts.size());
    const std::vector<Generation> together =
        GenerateBatch(context_, random, prompts, batch, [&](size_t prompt, const Token& token) {
          seen[prompt].push_back(token.id);
          return Flow::kContinue;
        });
    for (size_t i = 0; i < prompts.size(); ++i) {
      const Generation alone = Generate(context_, random, prompts[i], options);
      EXPECT_EQ(together[i].tokens, alone.tokens) << i;
      EXPECT_EQ(together[i].logprobs, alone.logprobs) << i;
      EXPECT_EQ(seen[i], alone.tokens) << i;
      EXPECT_EQ(together[i].text, "");
    }
  }
}

TEST_F(GenerateTest, StoppingTheWholeBatchBeginsNoFurtherPrompt) {
  const std::vector<std::vector<int32_t>> prompts(9, tokenizer_->Encode("t"));
  GenerateOptions options = greedy_;
  options.max_batch = 2;
  int calls = 0;
  const std::vector<Generation> results = GenerateBatch(context_, model_, prompts, options, [&](size_t, const Token&) {
    return ++calls >= 4 ? Flow::kStopAll : Flow::kContinue;
  });
  ASSERT_EQ(results.size(), 9u);
  EXPECT_EQ(results[0].tokens.size(), 2u);
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].finish_reason, FinishReason::kStop) << i;
    EXPECT_EQ(results[i].tokens.empty(), i >= 2) << i;
  }
}

TEST_F(GenerateTest, ACancelledBatchKeepsWhatEachTextHas) {
  const std::vector<std::vector<int32_t>> prompts(3, tokenizer_->Encode("t"));
  GenerateOptions options = greedy_;
  options.max_batch = 2;
  int asked = 0;
  options.cancelled = [&] { return asked++ == 3; };
  const std::vector<Generation> results = GenerateBatch(context_, model_, prompts, options);
  EXPECT_EQ(results[0].text, "o b");
  EXPECT_EQ(results[1].text, "o b");
  EXPECT_TRUE(results[2].tokens.empty());
  for (const Generation& g : results) EXPECT_EQ(g.finish_reason, FinishReason::kStop);
}

TEST_F(GenerateTest, BadWordsAreBannedAsTheTokenizerWritesThem) {
  EXPECT_THAT(BadWordTokens(*model_, "ab"), ElementsAre(tokenizer_->Encode("ab"), tokenizer_->Encode(" ab")));
  EXPECT_THAT(ErrorOf([&] { BadWordTokens(*model_, ""); }), HasSubstr("bad_words holds \"\""));
  EXPECT_THAT(ErrorOf([&] { BadWordTokens(*model_, "a\xFF"); }), HasSubstr("UTF-8"));
  greedy_.sampler.bad_words = BadWordTokens(*model_, "b한");
  // The recital would go on with the last byte of the syllable's three.
  const std::string text = Generate(context_, model_, "t", greedy_).text;
  EXPECT_THAT(text, ::testing::StartsWith("o b"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("b한")));
}

TEST_F(GenerateTest, MinNewTokensGoesPastTheEndOfTheText) {
  greedy_.sampler.min_new_tokens = 14;
  greedy_.max_new_tokens = 20;
  const Generation g = Generate(context_, model_, "t", greedy_);
  EXPECT_THAT(g.text, ::testing::StartsWith("o b한!-xyz"));
  EXPECT_GE(g.tokens.size(), 14u);
}

TEST_F(GenerateTest, ColdTemperatureTopKOneAndTinyTopPGiveGreedysText) {
  const auto random = Model::Random(context_, Preset("tiny"), /*seed=*/5, DType::kF32);
  const std::vector<int32_t> prompt = {5, 6, 7};
  const auto tokens = [&](const SamplerOptions& sampler) {
    return Generate(context_, random, prompt, {.sampler = sampler, .max_new_tokens = 60}).tokens;
  };
  const std::vector<int32_t> greedy = tokens({.greedy = true});
  EXPECT_EQ(tokens({.temperature = 1e-6, .seed = 1}), greedy);
  EXPECT_EQ(tokens({.temperature = 1e-300, .seed = 2}), greedy);
  EXPECT_EQ(tokens({.top_k = 1, .seed = 3}), greedy);
  EXPECT_EQ(tokens({.temperature = 3, .top_p = 1e-300, .seed = 4}), greedy);
  EXPECT_EQ(tokens({.min_p = 1, .seed = 5}), greedy);
  EXPECT_NE(tokens({.seed = 6}), greedy);
}

TEST_F(GenerateTest, PromptsThatCannotBeContinuedAreErrors) {
  EXPECT_THAT(ErrorOf([&] { Generate(context_, model_, "ab\xFF", greedy_); }), HasSubstr("2"));
  EXPECT_THAT(ErrorOf([&] { Generate(context_, model_, std::string(129, 'a'), greedy_); }),
              HasSubstr("129 tokens, the model's context holds 128"));
  EXPECT_THAT(ErrorOf([&] { Generate(context_, model_, std::vector<int32_t>{}, greedy_); }), HasSubstr("empty"));
  greedy_.stop = {""};
  EXPECT_THAT(ErrorOf([&] { Generate(context_, model_, "t", greedy_); }), HasSubstr("stop"));
}

TEST_F(GenerateTest, KeysAndValuesThatDoNotFitAreRefusedBeforehand) {
  ModelConfig wide = Preset("tiny-llama");
  wide.num_hidden_layers = 4;
  wide.num_attention_heads = wide.num_key_value_heads = 64;  // 64 KB of keys and values a position
  wide.head_dim = 32;
  wide.max_position_embeddings = 1 << 20;
  const auto model = Model::Random(context_, wide, /*seed=*/5, DType::kF32);
  const std::vector<std::vector<int32_t>> prompts(64, std::vector<int32_t>{1});
  EXPECT_THAT(ErrorOf([&] { GenerateBatch(context_, model, prompts, {.max_new_tokens = 1 << 20}); }),
              HasSubstr("the keys and values of 64 sequences at once needs"));
}

TEST_F(GenerateTest, WithoutATokenizerIdsComeAndGo) {
  const auto plain = Model::Random(context_, Preset("tiny"), /*seed=*/5, DType::kF32);
  const std::vector<int32_t> prompt = {1, 2};
  EXPECT_EQ(Generate(context_, plain, prompt, {.max_new_tokens = 4}).tokens.size(), 4u);
  EXPECT_THAT(ErrorOf([&] { Generate(context_, plain, "text"); }), HasSubstr("no tokenizer"));
  EXPECT_THAT(ErrorOf([&] { Generate(context_, plain, prompt, {.stop = {"."}}); }), HasSubstr("tokenizer"));
}

TEST_F(GenerateTest, AnEmptyPromptIsAnError) {
  EXPECT_THAT(ErrorOf([&] { EncodePrompt(*model_, ""); }), HasSubstr("prompt is empty"));
}

TEST_F(GenerateTest, SpecialTokensInThePromptCanBePlainText) {
  EXPECT_THAT(EncodePrompt(*model_, "<|endoftext|>"), ElementsAre(*tokenizer_->eos_id()));
  EXPECT_EQ(EncodePrompt(*model_, "<|endoftext|>", /*parse_special=*/false).size(), 13u);
}

}  // namespace
}  // namespace kinetok
