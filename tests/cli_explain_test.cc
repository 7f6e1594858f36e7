// explain, eval and perplexity as a user runs them: what they show, as text, JSON and pictures, and what they refuse.

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kExample[] = "'고양이=0.4,강아지=0.3,새=0.15,물고기=0.1,자동차=0.05'";

class CliExplainTest : public CliTest {
 protected:
  static std::vector<std::string> Tokens(const Json& kept) {
    std::vector<std::string> out;
    for (const Json& t : kept) out.push_back(t["token"]);
    return out;
  }
  static void ExpectKept(const Json& json, const std::vector<std::pair<std::string, double>>& expected) {
    ASSERT_EQ(json["kept"].size(), expected.size()) << json;
    double entropy = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(json["kept"][i]["token"], expected[i].first);
      EXPECT_NEAR(json["kept"][i]["p"].get<double>(), expected[i].second, 1e-12);
      entropy -= expected[i].second * std::log(expected[i].second);
    }
    EXPECT_NEAR(json["entropy"].get<double>(), entropy, 1e-12);
  }
  static void ExpectPictures(const std::string& command) {
    const Result r = Run(command + " --png picture.png --svg picture.svg");
    EXPECT_EQ(r.status, 0) << command << "\n" << r.err;
    EXPECT_THAT(ReadFile(dir_ / "picture.png"), StartsWith("\x89PNG")) << command;
    EXPECT_THAT(ReadFile(dir_ / "picture.svg"), HasSubstr("</svg>")) << command;
    std::filesystem::remove(dir_ / "picture.png");
    std::filesystem::remove(dir_ / "picture.svg");
  }
};

TEST_F(CliExplainTest, EveryCommandHasHelpWithAnExample) {
  for (const char* command : {"explain mask", "explain decoding", "explain temperature", "explain attention",
                              "explain steps", "explain teacher-forcing", "eval", "perplexity"}) {
    const Result r = Run(std::string(command) + " --help");
    EXPECT_EQ(r.status, 0) << command;
    EXPECT_THAT(r.out, HasSubstr("Example:\n  kinetok ")) << command;
  }
  ExpectError("explain atention", 2, "did you mean \"attention\"?");
  EXPECT_EQ(Run("explain").status, 2);
}

TEST_F(CliExplainTest, MasksAreThoseOfTheNotes) {
  const Json json = RunJson("explain mask 'A B C D' --json");
  EXPECT_THAT(Keys(json), UnorderedElementsAre("tokens", "masks"));
  EXPECT_EQ(json["tokens"], Json({"A", "B", "C", "D"}));
  ASSERT_EQ(json["masks"].size(), 4u);
  EXPECT_EQ(json["masks"][0]["rows"], Json::parse("[[1,0,0,0],[1,1,0,0],[1,1,1,0],[1,1,1,1]]"));
  EXPECT_EQ(json["masks"][1]["rows"], Json::parse("[[1,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]"));
  EXPECT_EQ(json["masks"][2]["rows"], Json::parse("[[1,0,0,0],[1,1,0,0],[0,1,1,0],[0,0,1,1]]"));
  EXPECT_EQ(RunJson("explain mask 'A B C D' --json --window 3")["masks"][2]["rows"][3], Json({0, 1, 1, 1}));

  const Json openvla = RunJson("explain mask 'A B' --json --image-patches 3 --action-tokens 2")["masks"][3];
  EXPECT_EQ(openvla["tokens"], Json({"<s>", "p1", "p2", "p3", "A", "B", "a1", "a2"}));
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) EXPECT_EQ(openvla["rows"][i][j], j <= i ? 1 : 0);
  }
  const Result text = Run("explain mask '고양이 B'");
  EXPECT_THAT(text.out, HasSubstr("고양이      1 0"));
  EXPECT_THAT(text.out, HasSubstr("B           1 1"));
  ExpectPictures("explain mask 'A B C D'");
  const Json model = RunJson("explain mask abc --model model --json");
  EXPECT_EQ(model["tokens"], Json({"a", "b", "c"}));
  ASSERT_EQ(model["masks"].size(), 1u);
  EXPECT_EQ(model["masks"][0]["name"], "gpt2, all 2 layers: causal");
}

TEST_F(CliExplainTest, MasksThatCannotBeDrawnAreRefused) {
  ExpectError("explain mask", 2, "tokens");
  ExpectError("explain mask ' '", 2, "no tokens");
  ExpectError("explain mask 'A B' --window 0", 2, "--window");
  ExpectError("explain mask 'A B' --image-patches 1000", 2, "--image-patches");
  ExpectError("explain mask 'A B' --model nowhere", 1, "nowhere");
  ExpectError("explain mask 'A B' --png nowhere/x.png", 1, "nowhere/x.png");
}

TEST_F(CliExplainTest, DecodingKeepsWhatTheNotesAskFor) {
  const Json json = RunJson(std::string("explain decoding --json --probs ") + kExample);
  ExpectKept(json, {{"고양이", 0.4}, {"강아지", 0.3}, {"새", 0.15}, {"물고기", 0.1}, {"자동차", 0.05}});
  ASSERT_EQ(json["strategies"].size(), 4u);
  EXPECT_EQ(json["strategies"][0]["name"], "greedy");
  ExpectKept(json["strategies"][0], {{"고양이", 1}});
  EXPECT_EQ(json["strategies"][1]["name"], "top-k 3");
  ExpectKept(json["strategies"][1], {{"고양이", 0.4 / 0.85}, {"강아지", 0.3 / 0.85}, {"새", 0.15 / 0.85}});
  EXPECT_EQ(json["strategies"][2]["name"], "top-p 0.7");
  ExpectKept(json["strategies"][2], {{"고양이", 4.0 / 7}, {"강아지", 3.0 / 7}});
  EXPECT_EQ(json["strategies"][3]["name"], "top-p 0.9");
  ExpectKept(json["strategies"][3],
             {{"고양이", 0.4 / 0.95}, {"강아지", 0.3 / 0.95}, {"새", 0.15 / 0.95}, {"물고기", 0.1 / 0.95}});
  const Result text = Run(std::string("explain decoding --probs ") + kExample);
  EXPECT_THAT(text.out, HasSubstr("강아지   0.3000       -   0.3529     0.4286     0.3158\n"));
  ExpectPictures(std::string("explain decoding --probs ") + kExample);
}

TEST_F(CliExplainTest, WithFlagsDecodingShowsThatOneChain) {
  const std::string command = std::string("explain decoding --json --probs ") + kExample;
  const Json chain = RunJson(command + " --top-k 3 --temperature 0.5");
  EXPECT_THAT(Keys(chain), UnorderedElementsAre("kept", "entropy"));
  const double sum = 0.16 + 0.09 + 0.0225;
  ExpectKept(chain, {{"고양이", 0.16 / sum}, {"강아지", 0.09 / sum}, {"새", 0.0225 / sum}});
  ExpectKept(RunJson(command + " --greedy"), {{"고양이", 1}});
  EXPECT_THAT(Tokens(RunJson(command + " --min-p 0.3")["kept"]), ElementsAre("고양이", "강아지", "새"));
  EXPECT_EQ(RunJson(command + " --typical-p 0.5")["kept"].size(), 2u);
  // Temperature 2 before top-p 0.7 flattens first and keeps one more than after it.
  EXPECT_EQ(RunJson(command + " --temperature 2 --top-p 0.7")["kept"].size(), 3u);
  EXPECT_EQ(RunJson(command + " --temperature 2 --top-p 0.7 --order llama.cpp")["kept"].size(), 2u);
}

TEST_F(CliExplainTest, DistributionsThatAreNoneAreRefused) {
  const std::string decoding = "explain decoding --probs ";
  ExpectError(decoding + "a=0.5,b=0.4", 2, "--probs: the probabilities sum to 0.9, expected 1");
  ExpectError(decoding + "a=0.5,b=0.500002", 2, "sum to 1.000002");
  ExpectError(decoding + "a=-0.5,b=1.5", 2, "the probability of \"a\" is \"-0.5\"");
  ExpectError(decoding + "a=0.5,a=0.5", 2, "\"a\" is there twice");
  ExpectError(decoding + "=0.5,b=0.5", 2, "no name before the =");
  ExpectError(decoding + "a=0.5,,b=0.5", 2, "is not NAME=PROBABILITY");
  ExpectError(decoding + "a=half,b=0.5", 2, "\"half\"");
  ExpectError(decoding + "a=nan,b=1", 2, "\"nan\"");
  ExpectError(decoding + "a=1 --model model", 2, "--probs is a distribution already");
  ExpectError("explain decoding", 2, "nothing to explain");
  ExpectError(decoding + "a=1 --top-p 2", 2, "--top-p is 2");
  ExpectError(decoding + "a=1 --order best", 2, "--order");
  ExpectError("explain decoding --model model --prompt ''", 1, "prompt is empty");
  EXPECT_EQ(Run(decoding + "a=0.5,b=0.4999995").status, 0);
}

TEST_F(CliExplainTest, AModelsNextTokenIsADistributionToo) {
  const Json json = RunJson("explain decoding --model model --prompt abc --json");
  const double sum = std::accumulate(json["kept"].begin(), json["kept"].end(), 0.0,
                                     [](double s, const Json& t) { return s + t["p"].get<double>(); });
  EXPECT_NEAR(sum, 1, 1e-12);
  const Json greedy = RunJson("generate --model model --prompt abc --greedy --max-new-tokens 1 --json");
  EXPECT_EQ(json["strategies"][0]["kept"][0]["id"], greedy["tokens"][0]);
  EXPECT_NEAR(std::log(json["kept"][0]["p"].get<double>()), greedy["logprobs"][0].get<double>(), 1e-9);
}

TEST_F(CliExplainTest, TemperatureSharpensAndFlattens) {
  const Json json = RunJson(std::string("explain temperature --json --probs ") + kExample);
  ASSERT_EQ(json["temperatures"].size(), 3u);
  const double half = 0.16 + 0.09 + 0.0225 + 0.01 + 0.0025;
  ExpectKept(json["temperatures"][0], {{"고양이", 0.16 / half},
                                       {"강아지", 0.09 / half},
                                       {"새", 0.0225 / half},
                                       {"물고기", 0.01 / half},
                                       {"자동차", 0.0025 / half}});
  EXPECT_EQ(json["temperatures"][1]["temperature"], 1.0);
  EXPECT_LT(json["temperatures"][0]["entropy"], json["temperatures"][1]["entropy"]);
  EXPECT_LT(json["temperatures"][1]["entropy"], json["temperatures"][2]["entropy"]);
  const Json zero = RunJson(std::string("explain temperature --json --temperatures 0 --probs ") + kExample);
  ExpectKept(zero["temperatures"][0], {{"고양이", 1}});
  ExpectPictures(std::string("explain temperature --probs ") + kExample);
  ExpectError("explain temperature --probs a=1 --temperatures '1 x'", 2, "--temperatures: \"x\" is not a number");
  ExpectError("explain temperature --probs a=1 --temperatures -1", 2, "--temperatures: temperature is -1");
  ExpectError("explain temperature --probs a=1 --temperatures ''", 2, "--temperatures is empty");
}

TEST_F(CliExplainTest, AttentionRowsAreDistributionsOverThePast) {
  const Json all = RunJson("explain attention --model model --prompt 'abc 오늘' --layer 1 --json");
  EXPECT_EQ(all["tokens"], Json({"a", "b", "c", " ", "오", "늘"}));
  ASSERT_EQ(all["heads"].size(), 4u);
  for (const Json& head : all["heads"]) {
    for (size_t i = 0; i < 6; ++i) {
      double sum = 0;
      for (size_t j = 0; j < 6; ++j) {
        const double p = head["rows"][i][j];
        EXPECT_EQ(p > 0, j <= i);
        sum += p;
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
  }
  const std::string one = "explain attention --model model --prompt 'abc 오늘' --layer 1 --json --head ";
  EXPECT_EQ(RunJson(one + "2")["heads"][0]["rows"], all["heads"][2]["rows"]);
  const Json mean = RunJson(one + "mean");
  EXPECT_EQ(mean["heads"][0]["head"], "mean");
  double expected = 0;
  for (size_t h = 0; h < 4; ++h) expected += all["heads"][h]["rows"][5][2].get<double>() / 4;
  EXPECT_NEAR(mean["heads"][0]["rows"][5][2].get<double>(), expected, 1e-12);
  EXPECT_EQ(RunJson(one + "-1")["heads"], all["heads"]);
  EXPECT_THAT(Run("explain attention --model model --prompt ab --head 0").out, HasSubstr("0 \"a\"   100   ."));
  ExpectPictures("explain attention --model model --prompt abc");
  ExpectError("explain attention --model model --prompt a --layer 2", 2, "--layer is 2; the model has layers 0 to 1");
  ExpectError("explain attention --model model --prompt a --head 4", 2, "--head is 4; the model has heads 0 to 3");
  ExpectError("explain attention --model model --prompt a --head x", 2, "--head is \"x\"");
  ExpectError("explain attention --prompt a", 2, "models/writer");
}

TEST_F(CliExplainTest, StepsFollowTheLoop) {
  const Json json = RunJson("explain steps --model model --prompt abc -n 4 --json");
  const Json generated = RunJson("generate --model model --prompt abc --max-new-tokens 4 --greedy --json");
  ASSERT_EQ(json["steps"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const Json& step = json["steps"][i];
    EXPECT_EQ(step["choice"]["id"], generated["tokens"][i]);
    EXPECT_EQ(step["candidates"].size(), 5u);
    EXPECT_EQ(step["candidates"][0], step["choice"]);
    EXPECT_EQ(step["input_tokens"], 3 + i);
    EXPECT_EQ(step["cached"]["positions"], i == 0 ? 3 : 1);
    EXPECT_EQ(step["recomputed"]["positions"], 3 + i);
    EXPECT_EQ(step["same_bits"], true);
  }
  EXPECT_EQ(json["steps"][0]["input"], "abc");
  EXPECT_EQ(json["cached"]["positions"], 6);
  EXPECT_EQ(json["recomputed"]["positions"], 18);
  const Json drawn = RunJson("explain steps --model model --prompt abc -n 6 --temperature 1 --seed 5 --json");
  const Json sampled = RunJson("generate --model model --prompt abc --max-new-tokens 6 --seed 5 --json");
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(drawn["steps"][i]["choice"]["id"], sampled["tokens"][i]);
  EXPECT_THAT(Run("explain steps --model model --prompt abc -n 1").out, HasSubstr("the same bits: yes"));
  ExpectError("explain steps --model model --prompt abc -n 0", 2, "--steps");
  ExpectError("explain steps --model model --prompt abc --top-p 0", 2, "--top-p is 0");
}

TEST_F(CliExplainTest, TeacherForcingGivesAllPositionsAtOnce) {
  const Json json = RunJson("explain teacher-forcing --model model --text 'abc a' --json");
  ASSERT_EQ(json["positions"].size(), 4u);
  EXPECT_EQ(json["positions"][2]["token"], "c");
  EXPECT_EQ(json["positions"][2]["target"], " ");
  double loss = 0;
  for (const Json& p : json["positions"]) {
    EXPECT_NEAR(p["loss"].get<double>(), -std::log(p["probability"].get<double>()), 1e-12);
    loss += p["loss"].get<double>() / 4;
  }
  EXPECT_NEAR(json["loss"].get<double>(), loss, 1e-12);
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(loss), 1e-9);
  EXPECT_EQ(json["same_bits"], true);
  EXPECT_EQ(json["single"]["passes"], 4);
  ExpectError("explain teacher-forcing --model model --text a", 1, "at least 2");
  ExpectError("explain teacher-forcing --model model", 2, "--text");
  ExpectError("explain teacher-forcing --model model --text xyz", 1, "x");
}

TEST_F(CliExplainTest, PerplexityStatesItsStride) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "abc fgh ";
  WriteFileAtomically(dir_ / "text.txt", text + "<|endoftext|>");
  const Json json = RunJson("perplexity --model model --data text.txt --json --stride 50 --context 100");
  EXPECT_THAT(Keys(json), UnorderedElementsAre("tokens", "scored", "bytes", "loss", "perplexity", "bits_per_byte",
                                               "stride", "context"));
  EXPECT_EQ(json["tokens"], 801);
  EXPECT_EQ(json["scored"], 800);
  EXPECT_EQ(json["bytes"], 800);
  EXPECT_EQ(json["stride"], 50);
  EXPECT_EQ(json["context"], 100);
  EXPECT_NEAR(json["bits_per_byte"].get<double>(), json["loss"].get<double>() * 801 / std::log(2) / 800, 1e-9);
  EXPECT_NEAR(json["perplexity"].get<double>(), std::exp(json["loss"].get<double>()), 1e-9);
  EXPECT_THAT(Run("perplexity --model model --data text.txt").out, HasSubstr("stride 64"));
  ExpectError("perplexity --model model --data text.txt --stride 200", 2, "--stride is 200");
  ExpectError("perplexity --model model --data text.txt --context 200", 2, "--context is 200");
  ExpectError("perplexity --model model", 2, "--data");
  ExpectError("perplexity --model model --data nowhere.txt", 1, "nowhere.txt");
  WriteFileAtomically(dir_ / "empty.txt", "");
  ExpectError("perplexity --model model --data empty.txt", 1, "empty.txt: ");
}

TEST_F(CliExplainTest, EvalScoresTasksWithIntervals) {
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    lines += fmt::format("{{\"prompt\": \"ab {}\", \"choices\": [\"c\", \"gh\"], \"answer\": {}}}\n",
                         static_cast<char>('a' + i), i % 2);
  }
  WriteFileAtomically(dir_ / "task.jsonl", lines);
  const Json json = RunJson("eval --model model --task task.jsonl --shots 2 --seed 1 --separator ' ' --json");
  EXPECT_THAT(Keys(json), UnorderedElementsAre("task", "format", "examples", "shots", "accuracy",
                                               "accuracy_interval_95", "accuracy_norm", "accuracy_norm_interval_95",
                                               "chance", "tokens", "computed_positions", "truncated"));
  EXPECT_EQ(json["examples"], 8);
  EXPECT_EQ(json["shots"], 2);
  EXPECT_EQ(json["chance"], 0.5);
  EXPECT_LT(json["accuracy_interval_95"][0], json["accuracy"]);
  EXPECT_LT(json["computed_positions"], json["tokens"]);
  EXPECT_EQ(RunJson("eval --model model --task task.jsonl --shots 2 --seed 1 --separator ' ' --json --threads 1 "
                    "--isa portable"),
            json);
  EXPECT_EQ(RunJson("eval --model model --task task.jsonl --limit 3 --json")["examples"], 3);
  WriteFileAtomically(dir_ / "words.jsonl", "{\"text\": \"abc fgh\"}\n{\"text\": \"fgh abc\"}\n");
  const Json words = RunJson(
      "eval --model model --task words.jsonl --shots 1 --shots-file words.jsonl --json "
      "--separator ' '");
  EXPECT_EQ(words["format"], "lambada");
  EXPECT_GT(words["perplexity"], 1);
  EXPECT_THAT(Run("eval --model model --task words.jsonl").out, HasSubstr("95% interval"));

  ExpectError("eval --model model", 2, "--task");
  ExpectError("eval --model model --task nowhere.jsonl", 1, "nowhere.jsonl");
  ExpectError("eval --model model --task task.jsonl --shots -1", 2, "--shots is -1");
  ExpectError("eval --model model --task task.jsonl --shots 8", 1, "task.jsonl: 8 shots are asked for");
  ExpectError("eval --model model --task task.jsonl --shots 1 --shots-file words.jsonl", 1, "expected the same");
  WriteFileAtomically(dir_ / "bad.jsonl", lines + "{\"prompt\": 3, \"choices\": [\"a\", \"b\"], \"answer\": 0}\n");
  ExpectError("eval --model model --task bad.jsonl", 1, "bad.jsonl: line 9: field \"prompt\"");
}

}  // namespace
}  // namespace kinetok
