#include "kinetok/train/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/decode/score.h"
#include "kinetok/model/test_models.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectParseError(const std::string& text, const std::string& message) {
  try {
    ParseTask(text, "t.jsonl");
    ADD_FAILURE() << "no error: " << text;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(message));
  }
}

// What lm-evaluation-harness 0.4's hellaswag task makes of this record: its `preprocess` and str.capitalize.
TEST(Task, HellaSwagIsPreparedAsTheHarnessDoes) {
  const Task task = ParseTask(
      R"({"ind": 4, "activity_label": "Removing ice from car", "ctx_a": "Then, the man [step] writes over the snow. [title] Next", )"
      R"("ctx_b": "a woman IN a hat", "ctx": "unused", "endings": [" , the man  adds wax. ", "[substeps] rides.", "c", "d"], "label": "3"})",
      "t.jsonl");
  EXPECT_EQ(task.format, "hellaswag");
  ASSERT_EQ(task.examples.size(), 1u);
  EXPECT_EQ(task.examples[0].prompt,
            "Removing ice from car: Then, the man writes over the snow.. Next A woman in a hat");
  EXPECT_THAT(task.examples[0].continuations, ElementsAre(" , the man adds wax.", "  rides.", " c", " d"));
  EXPECT_EQ(task.examples[0].answer, 3u);
}

TEST(Task, LambadaAsksForTheLastWord) {
  const Task task =
      ParseTask("{\"text\": \"he said \\\"good morning\"}\n\n{\"text\": \"오늘 날씨가 좋다\"}\n", "t.jsonl");
  EXPECT_EQ(task.format, "lambada");
  ASSERT_EQ(task.examples.size(), 2u);
  EXPECT_EQ(task.examples[0].prompt, "he said \"good");
  EXPECT_THAT(task.examples[0].continuations, ElementsAre(" morning"));
  EXPECT_EQ(task.examples[1].prompt, "오늘 날씨가");
  EXPECT_THAT(task.examples[1].continuations, ElementsAre(" 좋다"));
}

TEST(Task, MalformedLinesNameFileLineAndField) {
  ExpectParseError("", "t.jsonl: no examples");
  ExpectParseError("{\"text\": \"a b\"}\n{\"text\": 3}", "t.jsonl: line 2: field \"text\"");
  ExpectParseError("{\"text\": \"word\"}", "field \"text\" is \"word\", expected words");
  ExpectParseError("{\"text\": \"ends with a space \"}", "field \"text\"");
  ExpectParseError("{\"prompt\": \"a\"}", "line 1: none of the fields \"endings\", \"choices\"");
  ExpectParseError("[1]", "t.jsonl: line 1");
  ExpectParseError("{\"prompt\": \"a\", \"choices\": [\"x\"], \"answer\": 0}", "field \"choices\" has 1 strings");
  ExpectParseError("{\"prompt\": \"a\", \"choices\": [\"x\", 2], \"answer\": 0}", "field \"choices\" holds 2");
  ExpectParseError("{\"prompt\": \"a\", \"choices\": [\"x\", \"\"], \"answer\": 0}", "field \"choices\" holds \"\"");
  ExpectParseError("{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": 2}", "\"answer\"");
  ExpectParseError("{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"]}", "\"answer\"");
  ExpectParseError("{\"choices\": [\"x\", \"y\"], \"answer\": 1}", "\"prompt\"");
  ExpectParseError("{\"prompt\": \"a\", \"completion\": \"\"}", "field \"completion\" is empty");
  ExpectParseError("{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"text\": \"a b\"}",
                   "line 2: this is a line of lambada, the first one was of completion");
  ExpectParseError(R"({"activity_label": "a", "ctx_a": "a", "ctx_b": "b", "endings": ["a", "b"], "label": "2"})",
                   "field \"label\" is \"2\", expected a number from 0 to 1");
  ExpectParseError(R"({"ctx_a": "a", "ctx_b": "b", "endings": ["a", "b"], "label": 1})", "\"activity_label\"");
  try {
    ReadTask("nowhere.jsonl");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("nowhere.jsonl"));
  }
}

Task NumberedTask(int groups) {
  Task task{.format = "completion", .examples = {}};
  for (int i = 0; i < 12; ++i) {
    task.examples.push_back({.prompt = std::string(1, static_cast<char>('a' + i)),
                             .continuations = {fmt::format("={}", i)},
                             .answer = 0,
                             .group = std::to_string(i % groups)});
  }
  return task;
}

TEST(Task, ShotsAreOtherExamplesOfTheGroupWithoutRepetition) {
  const Task task = NumberedTask(2);
  std::set<std::string> prompts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const TaskOptions options{.shots = 5, .separator = ";", .seed = seed};
    const std::string prompt = PromptWithShots(task, 0, task, options);
    prompts.insert(prompt);
    for (int i = 2; i < 12; i += 2) {  // all five others of its group
      EXPECT_THAT(prompt, HasSubstr(fmt::format("{}={};", task.examples[static_cast<size_t>(i)].prompt, i)));
    }
    EXPECT_TRUE(prompt.ends_with(";a")) << prompt;
    EXPECT_EQ(PromptWithShots(task, 0, task, options), prompt);
  }
  EXPECT_GT(prompts.size(), 10u);  // the order depends on the seed
  EXPECT_EQ(PromptWithShots(task, 3, task, {.shots = 0}), "d");
  EXPECT_THROW(PromptWithShots(task, 0, task, {.shots = 6}), Error);
  const Task pool = NumberedTask(1);
  EXPECT_THROW(PromptWithShots(task, 1, pool, {.shots = 1}), Error);  // no group "1" there
}

class RunTaskTest : public ::testing::Test {
 protected:
  RunTaskTest() {
    CharTrainer trainer({"<|endoftext|>"});
    trainer.Add("abcdefghijklmnop 0123456789=;");
    tokenizer_ = trainer.Train();
    ModelConfig config = Preset("tiny");
    config.vocab_size = tokenizer_->vocab_size();
    model_ = Model::FromParameters(context_, config, DrawParameters(ParameterList(config), 5), DType::kF32, tokenizer_);
  }
  // The log-probability of a continuation by ScoreContinuations alone.
  double Score(const std::string& prompt, const std::string& continuation) {
    const std::vector<ScoreRequest> request = {{tokenizer_->Encode(prompt), tokenizer_->Encode(continuation)}};
    return ScoreContinuations(context_, *model_, request).scores[0].log_probability;
  }
  Context context_{1, BestIsa()};
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const Model> model_;
};

TEST_F(RunTaskTest, ChoicesAreRankedBySumAndByLength) {
  Task task{.format = "choices", .examples = {}};
  int64_t sums = 0, norms = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string prompt(1, static_cast<char>('a' + i));
    const std::vector<std::string> choices = {"0", "12345", " ab"};
    std::vector<double> sum, norm;
    for (const std::string& c : choices) {
      sum.push_back(Score(prompt, c));
      norm.push_back(sum.back() / static_cast<double>(c == " ab" ? 2 : c.size()));
    }
    const auto best = [](const std::vector<double>& v) {
      return static_cast<size_t>(std::max_element(v.begin(), v.end()) - v.begin());
    };
    task.examples.push_back(
        {.prompt = prompt, .continuations = choices, .answer = static_cast<size_t>(i % 3), .group = {}});
    sums += best(sum) == task.examples.back().answer ? 1 : 0;
    norms += best(norm) == task.examples.back().answer ? 1 : 0;
  }
  const TaskReport report = RunTask(context_, *model_, task, task);
  EXPECT_EQ(report.examples, 10);
  EXPECT_EQ(report.accuracy.value, static_cast<double>(sums) / 10);
  ASSERT_TRUE(report.accuracy_norm.has_value());
  EXPECT_EQ(report.accuracy_norm->value, static_cast<double>(norms) / 10);
  EXPECT_NE(sums, norms);  // the two rules differ here
  EXPECT_NEAR(*report.chance, 1.0 / 3, 1e-12);
  EXPECT_FALSE(report.perplexity.has_value());
  EXPECT_EQ(RunTask(context_, *model_, task, task, {.limit = 4}).examples, 4);
}

TEST_F(RunTaskTest, CompletionsAreScoredWholeAfterTheirShots) {
  const Task task = NumberedTask(1);
  const TaskOptions options{.shots = 2, .separator = ";", .seed = 3};
  double nats = 0;
  int64_t tokens = 0;
  for (size_t i = 0; i < task.examples.size(); ++i) {
    const std::string prompt = PromptWithShots(task, i, task, options);
    nats -= Score(prompt, task.examples[i].continuations[0]);
    tokens += static_cast<int64_t>(prompt.size() + task.examples[i].continuations[0].size());
  }
  const TaskReport report = RunTask(context_, *model_, task, task, options);
  ASSERT_TRUE(report.perplexity.has_value());
  EXPECT_NEAR(*report.perplexity, std::exp(nats / 12), 1e-9 * *report.perplexity);
  EXPECT_EQ(report.tokens, tokens);
  EXPECT_LT(report.rows, tokens);
  EXPECT_FALSE(report.accuracy_norm.has_value());
}

TEST_F(RunTaskTest, AnEmptyPromptBeginsWithTheEndOfText) {
  Task task{.format = "completion", .examples = {{.prompt = "", .continuations = {"ab"}, .answer = 0, .group = {}}}};
  const TaskReport report = RunTask(context_, *model_, task, task);
  EXPECT_NEAR(std::log(*report.perplexity), -Score("<|endoftext|>", "ab"), 1e-9);
}

TEST_F(RunTaskTest, WhatCannotRunIsAnError) {
  const Task task = NumberedTask(1);
  Task other = task;
  other.format = "lambada";
  EXPECT_THROW(RunTask(context_, *model_, task, other, {.shots = 1}), Error);
  EXPECT_THROW(RunTask(context_, *model_, task, task, {.shots = -1}), Error);
  EXPECT_THROW(RunTask(context_, *model_, task, task, {.limit = -1}), Error);
  EXPECT_THROW(RunTask(context_, *model_, task, task, {.shots = 12, .separator = ";"}), Error);
  Task unknown = task;
  unknown.examples[4].prompt = "Z";
  try {
    RunTask(context_, *model_, unknown, unknown);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("example 5: "));
  }
}

}  // namespace
}  // namespace kinetok
