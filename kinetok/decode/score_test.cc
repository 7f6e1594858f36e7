#include "kinetok/decode/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/decode/log_probability.h"
#include "kinetok/decode/logits.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

class ScoreTest : public ::testing::Test {
 protected:
  ScoreTest() {
    config_ = TestConfigs()[2].config;  // llama
    config_.max_position_embeddings = 80;
    const ParameterList list(config_);
    model_ = Model::FromParameters(context_, config_, DrawParameters(list, 5), DType::kF32, nullptr);
  }

  // By the plainest way: the logits of the whole text, one request at a time.
  ContinuationScore ScoreAlone(std::vector<int32_t> prompt, const std::vector<int32_t>& continuation) {
    const size_t first = prompt.size();
    prompt.insert(prompt.end(), continuation.begin(), continuation.end());
    ContinuationScore out;
    ForEachLogits(context_, *model_, prompt, [&](int64_t, Rows<const float> logits) {
      for (size_t t = first; t < prompt.size(); ++t) {
        const Span<const float> row{logits[static_cast<int64_t>(t) - 1], static_cast<size_t>(logits.width)};
        out.log_probability += LogProbability(row, prompt[t]);
        out.greedy = out.greedy && Argmax(row) == prompt[t];
      }
    });
    return out;
  }

  void ExpectError(const std::vector<ScoreRequest>& requests, const std::string& message) {
    try {
      ScoreContinuations(context_, *model_, requests);
      ADD_FAILURE() << "no error: " << message;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  }

  Context context_{1, BestIsa()};
  ModelConfig config_;
  std::shared_ptr<const Model> model_;
};

// Prompts that share beginnings, continuations that share some, one that is another's beginning, and a repetition.
std::vector<ScoreRequest> SharingRequests() {
  const std::vector<int32_t> a = DrawTokens(40, 333, 1), b = DrawTokens(9, 333, 2);
  std::vector<int32_t> a_and_b = a;
  a_and_b.insert(a_and_b.end(), b.begin(), b.end());
  return {{a, {1, 2, 3}}, {a, {1, 2, 4}}, {b, {5}}, {a, {1}}, {a_and_b, {7, 7}}, {a, {1, 2, 3}}, {b, {6}}, {b, {5, 6}}};
}

TEST_F(ScoreTest, EveryScoreIsTheOneOfTheRequestAlone) {
  const std::vector<ScoreRequest> requests = SharingRequests();
  for (const ScoreOptions& options :
       {ScoreOptions{}, ScoreOptions{.pass_rows = 7, .logits_rows = 1, .sequences = 2, .progress = {}},
        ScoreOptions{.pass_rows = 1, .logits_rows = 1, .sequences = 1, .progress = {}}}) {
    const ScoreReport report = ScoreContinuations(context_, *model_, requests, options);
    ASSERT_EQ(report.scores.size(), requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      const ContinuationScore alone = ScoreAlone(requests[i].prompt, requests[i].continuation);
      EXPECT_EQ(report.scores[i].log_probability, alone.log_probability) << "request " << i;
      EXPECT_EQ(report.scores[i].greedy, alone.greedy) << "request " << i;
    }
  }
}

TEST_F(ScoreTest, SharedPrefixesAreComputedOnce) {
  const std::vector<ScoreRequest> requests = SharingRequests();
  const ScoreReport report = ScoreContinuations(context_, *model_, requests);
  // a (40), after it 1 and 2 (the last token is never read), or b's 9 and 7; b (9), after it 5.
  EXPECT_EQ(report.rows, 40 + 2 + 9 + 1 + 9 + 1);
  int64_t tokens = 0;
  for (const ScoreRequest& r : requests) tokens += static_cast<int64_t>(r.prompt.size() + r.continuation.size());
  EXPECT_EQ(report.tokens, tokens);
  int64_t done = 0, total = 0;
  ScoreContinuations(context_, *model_, requests, {.progress = [&](int64_t d, int64_t t) {
                       EXPECT_GT(d, done);
                       done = d;
                       total = t;
                     }});
  EXPECT_EQ(done, report.rows);
  EXPECT_EQ(total, report.rows);
}

TEST_F(ScoreTest, GreedyIsTrueForTheLikeliestContinuationAlone) {
  std::vector<int32_t> prompt = DrawTokens(12, config_.vocab_size, 8), likeliest;
  for (int i = 0; i < 4; ++i) {
    likeliest.push_back(Argmax(NextLogits(context_, *model_, prompt)));
    prompt.push_back(likeliest.back());
  }
  prompt.resize(12);
  std::vector<int32_t> other = likeliest;
  other[2] = (other[2] + 1) % static_cast<int32_t>(config_.vocab_size);
  const std::vector<ScoreRequest> requests = {{prompt, likeliest}, {prompt, other}};
  const ScoreReport report = ScoreContinuations(context_, *model_, requests);
  EXPECT_TRUE(report.scores[0].greedy);
  EXPECT_FALSE(report.scores[1].greedy);
  EXPECT_GT(report.scores[0].log_probability, report.scores[1].log_probability);
}

TEST_F(ScoreTest, ALongPromptLosesItsBeginning) {
  const std::vector<int32_t> longer = DrawTokens(100, config_.vocab_size, 6);
  const std::vector<int32_t> kept(longer.end() - 77, longer.end());  // with 3 tokens read: 80 positions
  const std::vector<int32_t> continuation = {9, 8, 7, 6};
  const std::vector<ScoreRequest> requests = {{longer, continuation}};
  const ScoreReport report = ScoreContinuations(context_, *model_, requests);
  EXPECT_EQ(report.truncated, 1);
  const std::vector<ScoreRequest> cut = {{kept, continuation}};
  const ScoreReport expected = ScoreContinuations(context_, *model_, cut);
  EXPECT_EQ(expected.truncated, 0);
  EXPECT_EQ(report.scores[0].log_probability, expected.scores[0].log_probability);
}

TEST_F(ScoreTest, RequestsThatCannotBeScoredAreErrors) {
  ExpectError({{{}, {1}}}, "a prompt of 0 tokens");
  ExpectError({{{1}, {}}}, "a continuation of 0");
  ExpectError({{{1}, {333}}}, "token id 333 is outside the model's vocabulary of 333");
  ExpectError({{{-1}, {1}}}, "token id -1");
  ExpectError({{{1}, DrawTokens(81, 333, 1)}}, "a continuation has 81 tokens, the model's context holds 80");
}

TEST_F(ScoreTest, AModelThatSeesLaterPositionsIsRefused) {
  model_ = Model::Random(context_, Preset("tiny-bert"), 1, DType::kF32);
  ExpectError({{{1}, {2}}}, "scoring needs a model that predicts the next token");
  const std::vector<int32_t> text = {1, 2, 3};
  EXPECT_THROW(ComputePerplexity(context_, *model_, text), Error);
}

// The windows of the guide, written out: from what position on each target is predicted.
double PlainNats(const std::vector<int32_t>& text, int64_t window, int64_t stride, int64_t* scored,
                 const std::function<double(std::span<const int32_t>, int32_t)>& log_probability) {
  double nats = 0;
  const auto n = static_cast<int64_t>(text.size());
  int64_t previous_end = 0;
  *scored = 0;
  for (int64_t begin = 0; begin < n; begin += stride) {
    const int64_t end = std::min(begin + window, n);
    for (int64_t target = std::max(previous_end, begin + 1); target < end; ++target) {
      nats -= log_probability(std::span(text).subspan(begin, target - begin), text[target]);
      ++*scored;
    }
    previous_end = end;
    if (end == n) break;
  }
  return nats;
}

TEST_F(ScoreTest, PerplexityIsThatOfTheStatedWindows) {
  const std::vector<int32_t> text = DrawTokens(203, config_.vocab_size, 3);
  const auto one = [&](std::span<const int32_t> before, int32_t target) {
    return LogProbability(NextLogits(context_, *model_, before), target);
  };
  struct Case {
    int64_t window, stride, scored;
  };
  for (const Case& c : {Case{80, 40, 202}, Case{80, 80, 200}, Case{33, 10, 202}, Case{2, 1, 202}}) {
    const PerplexityReport report =
        ComputePerplexity(context_, *model_, text, {.window = c.window, .stride = c.stride, .progress = {}});
    int64_t scored = 0;
    const double nats = PlainNats(text, c.window, c.stride, &scored, one);
    EXPECT_EQ(report.scored, c.scored);
    EXPECT_EQ(scored, c.scored);
    EXPECT_EQ(report.tokens, 203);
    EXPECT_EQ(report.nats, nats) << c.window << " " << c.stride;
    EXPECT_EQ(report.Loss(), nats / static_cast<double>(c.scored));
  }
  const PerplexityReport plain = ComputePerplexity(context_, *model_, text);
  EXPECT_EQ(plain.window, 80);
  EXPECT_EQ(plain.stride, 40);
}

TEST_F(ScoreTest, PerplexityRefusesWhatItCannotMeasure) {
  const std::vector<int32_t> text = {1, 2, 3};
  EXPECT_THROW(ComputePerplexity(context_, *model_, text, {.window = 81, .stride = 0, .progress = {}}), Error);
  EXPECT_THROW(ComputePerplexity(context_, *model_, text, {.window = 1, .stride = 0, .progress = {}}), Error);
  EXPECT_THROW(ComputePerplexity(context_, *model_, text, {.window = 10, .stride = 11, .progress = {}}), Error);
  EXPECT_THROW(ComputePerplexity(context_, *model_, text, {.window = 10, .stride = -1, .progress = {}}), Error);
  EXPECT_THROW(ComputePerplexity(context_, *model_, std::span(text).first(1)), Error);
}

}  // namespace
}  // namespace kinetok
