// Runs the program as a user does: exit statuses, one-line errors, what is on stdout and what on stderr.

#include <algorithm>
#include <functional>
#include <sstream>

#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr char kLatin1[] = "ab\xff";  // not UTF-8

TEST_F(CliTest, HelpShowsAnExampleForEveryCommand) {
  for (const char* command :
       {"", "generate", "logits", "init", "inspect", "convert", "bench", "tokenize", "tokenizer train"}) {
    const Result r = Run(std::string(command) + " --help");
    EXPECT_EQ(r.status, 0) << command;
    EXPECT_THAT(r.out, HasSubstr("Example:\n  kinetok ")) << command;
    EXPECT_EQ(r.err, "") << command;
  }
}

TEST_F(CliTest, UnknownWordsNameTheNearestOne) {
  ExpectError("generate --temprature 0.5", 2, "unknown flag \"--temprature\", did you mean \"--temperature\"?");
  ExpectError("generate --topp=0.5", 2, "did you mean \"--top-p\"?");
  ExpectError("genrate", 2, "did you mean \"generate\"?");
  ExpectError("generate --model model --prompt a b", 2, "unknown argument \"b\"");
  ExpectError("init --preset gpt2-124n --out x", 2, "gpt2-124m");
  ExpectError("tokenizer train --dat x", 2, "did you mean \"--data\"?; kinetok tokenizer train --help lists");
}

TEST_F(CliTest, WithoutACommandThereIsHelpOnStderr) {
  const Result r = Run("");
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.out, "");
  EXPECT_THAT(r.err, HasSubstr("generate"));
}

TEST_F(CliTest, ValuesOutOfRangeNameTheFlagAndTheValue) {
  const std::string generate = "generate --model model --prompt a ";
  ExpectError(generate + "--temperature -1", 2, "--temperature is -1;");
  ExpectError(generate + "--temperature nan", 2, "--temperature is nan;");
  ExpectError(generate + "--top-p 1.5", 2, "--top-p is 1.5;");
  ExpectError(generate + "--top-p 0", 2, "--top-p is 0;");
  ExpectError(generate + "--top-k -2", 2, "--top-k is -2;");
  ExpectError(generate + "--max-new-tokens 0", 2, "--max-new-tokens is 0;");
  ExpectError(generate + "--stop ''", 2, "--stop");
  ExpectError(generate + "--temperature warm", 2, "--temperature");
  ExpectError(generate + "--threads 0", 2, "--threads");
  ExpectError(generate + "--seed -1", 2, "--seed");
  ExpectError("init --preset tiny --out x --seed -3", 2, "--seed");
  ExpectError(generate + "--isa sse9", 2, "--isa");
  ExpectError("generate --model model --tokens '1 x'", 2, "\"x\" is not a token id");
  ExpectError("init --preset tiny --dtype f8 --out x", 2, "--dtype is \"f8\"");
}

TEST_F(CliTest, ValuesOfTheDecodingFlagsOutOfRangeNameTheFlag) {
  const std::string generate = "generate --model model --prompt a ";
  ExpectError(generate + "--min-p 2", 2, "--min-p is 2;");
  ExpectError(generate + "--typical-p 0", 2, "--typical-p is 0;");
  ExpectError(generate + "--order vllm", 2, "--order is \"vllm\"; it must be \"hf\" or \"llama.cpp\"");
  ExpectError(generate + "--repetition-penalty 0", 2, "--repetition-penalty is 0;");
  ExpectError(generate + "--presence-penalty inf", 2, "--presence-penalty is inf;");
  ExpectError(generate + "--frequency-penalty nan", 2, "--frequency-penalty is nan;");
  ExpectError(generate + "--no-repeat-ngram-size -1", 2, "--no-repeat-ngram-size is -1;");
  ExpectError(generate + "--min-new-tokens 999", 2, "--min-new-tokens is 999;");
  for (const char* bias : {"5", "=5", "5=", "5=x", "x=5", "5=1=2"}) {
    ExpectError(generate + "--logit-bias " + bias, 2, "--logit-bias: \"" + std::string(bias) + "\" is not ID=VALUE");
  }
  ExpectError(generate + "--logit-bias 5=inf", 2, "--logit-bias is inf for token 5;");
  ExpectError(generate + "--logit-bias 99999=1", 2, "--logit-bias names token 99999");
  ExpectError(generate + "--bad-words ''", 2, "--bad-words holds \"\"");
  ExpectError(generate + "--allowed-tokens ''", 2, "--allowed-tokens holds an empty set");
  ExpectError(generate + "--allowed-tokens '1 x'", 2, "--allowed-tokens: \"x\" is not a token id");
  ExpectError(generate + "--allowed-tokens 99999", 2, "--allowed-tokens names token 99999");
  ExpectError(generate + "--num-beams 0", 2, "--num-beams is 0;");
  ExpectError(generate + "--num-beams 3 --top-k 5", 2, "--num-beams is 3; beam search draws nothing");
  ExpectError(generate + "--length-penalty nan", 2, "--length-penalty is nan;");
  ExpectError(generate + "--early-stopping maybe", 2, "--early-stopping is \"maybe\";");
  ExpectError(generate + "--best-of 3 --greedy", 2, "--best-of is 3;");
  ExpectError(generate + "--num-return-sequences 2 --json", 2, "--num-return-sequences is 2;");
  ExpectError(generate + "--top-logprobs -1 --json", 2, "--top-logprobs is -1;");
  ExpectError(generate + "--top-logprobs 3", 2, "need --json");
  ExpectError("generate --model model --tokens 0 --no-repeat-ngram-size 1 --allowed-tokens 0", 1,
              "no token is left to choose new token 0");
}

TEST_F(CliTest, ProcessorsDecideWhatIsGenerated) {
  const std::string generate = "generate --model model --prompt abc --max-new-tokens 8 --json --seed 3 ";
  const auto tokens = [&](const std::string& flags) {
    return RunJson(generate + flags)["tokens"].get<std::vector<int>>();
  };
  EXPECT_THAT(tokens("--allowed-tokens '5'"), ::testing::Each(5));
  EXPECT_THAT(tokens("--logit-bias 7=1000"), ::testing::Each(7));
  EXPECT_THAT(tokens("--logit-bias 7=1000 --logit-bias 7=-2000 --logit-bias 8=900"), ::testing::Each(8));
  std::vector<int> distinct = tokens("--no-repeat-ngram-size 1");
  std::sort(distinct.begin(), distinct.end());
  EXPECT_EQ(std::unique(distinct.begin(), distinct.end()) - distinct.begin(), 8);
  EXPECT_THAT(RunJson(generate + "--allowed-tokens '5 6' --bad-words a")["text"].get<std::string>(),
              ::testing::Not(HasSubstr("a")));
  EXPECT_EQ(tokens("--temperature 0 --repetition-penalty 1"), tokens("--greedy"));
  EXPECT_EQ(tokens("--top-k 1 --top-k-ties --order llama.cpp"), tokens("--greedy"));
}

TEST_F(CliTest, BeamsBestOfAndTheLikeliestTokensAreInTheJson) {
  const std::string generate = "generate --model model --prompt abc --max-new-tokens 6 --json ";
  const Json beams = RunJson(generate +
                             "--num-beams 3 --length-penalty 0.5 --early-stopping never "
                             "--num-return-sequences 2 --top-logprobs 4");
  EXPECT_EQ(beams["sequences"].size(), 2u);
  EXPECT_EQ(beams["sequences"][0]["tokens"], beams["tokens"]);
  EXPECT_GE(beams["score"].get<double>(), beams["sequences"][1]["score"].get<double>());
  ASSERT_EQ(beams["top_logprobs"].size(), beams["tokens"].size());
  const Json& first = beams["top_logprobs"][0];
  ASSERT_EQ(first.size(), 4u);
  EXPECT_THAT(Keys(first[0]), ::testing::UnorderedElementsAre("token", "piece", "logprob"));
  EXPECT_GE(first[0]["logprob"].get<double>(), first[3]["logprob"].get<double>());

  const Json best = RunJson(generate + "--best-of 3 --seed 2");
  EXPECT_TRUE(best.contains("score"));
  EXPECT_FALSE(best.contains("sequences"));
  WriteFileAtomically(dir_ / "batch.jsonl", "[1, 2]\n\"abc\"\n");
  const Result batch = Run("generate --model model --batch-file batch.jsonl --max-new-tokens 6 --best-of 3 --seed 2");
  EXPECT_EQ(batch.status, 0) << batch.err;
  EXPECT_EQ(ParseJson(batch.out.substr(batch.out.find('\n') + 1), "line 2")["tokens"], best["tokens"]);

  const Result text = Run("generate --model model --prompt abc --max-new-tokens 6 --num-beams 3");
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_EQ(text.out, RunJson(generate + "--num-beams 3")["text"].get<std::string>() + "\n");
}

TEST_F(CliTest, AMissingModelNamesTheBundledOnes) {
  for (const char* command : {"generate --prompt a", "logits --prompt a --out x.npy", "inspect", "bench"}) {
    ExpectError(command, 2, "models/writer and models/robot");
  }
  ExpectError("generate --model nowhere --prompt a", 1, "nowhere");
}

TEST_F(CliTest, PromptsThatCannotBeContinuedAreErrors) {
  ExpectError("generate --model model --prompt ''", 1, "prompt is empty");
  ExpectError("generate --model model </dev/null", 1, "prompt is empty");
  ExpectError("generate --model model --tokens ''", 1, "prompt is empty");
  ExpectError("generate --model model --prompt \"$(printf 'ab\\377')\"", 1, "byte 2");
  WriteFileAtomically(dir_ / "latin1.txt", kLatin1);
  ExpectError("generate --model model --prompt-file latin1.txt", 1, "latin1.txt: ");
  ExpectError("generate --model model <latin1.txt", 1, "byte 2");
  ExpectError("generate --model model --prompt \"$(printf '%0200d' 0 | tr 0 a)\"", 1, "200 tokens");
  ExpectError("generate --model model --tokens '1 9999'", 1, "9999");
  ExpectError("generate --model model --prompt-file nowhere.txt", 1, "nowhere.txt");
}

TEST_F(CliTest, GenerateStreamsTextToStdoutAndStatisticsToStderr) {
  const Result r = Run("generate --model model --prompt abc --max-new-tokens 20 --seed 4");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_GE(r.out.size(), 20u);
  EXPECT_THAT(r.err, HasSubstr("tok/s"));
  EXPECT_EQ(Run("generate --model model --prompt abc --max-new-tokens 20 --seed 4 --threads 1 --isa portable").out,
            r.out);
  WriteFileAtomically(dir_ / "prompt.txt", "abc");
  EXPECT_EQ(Run("generate --model model --max-new-tokens 20 --seed 4 --prompt-file prompt.txt").out, r.out);
  EXPECT_EQ(Run("generate --model model --max-new-tokens 20 --seed 4 <prompt.txt").out, r.out);
}

TEST_F(CliTest, GenerateAsJsonHasThePublishedKeys) {
  const Json json = RunJson("generate --model model --prompt abc --max-new-tokens 5 --json");
  EXPECT_THAT(Keys(json), ::testing::UnorderedElementsAre("prompt_tokens", "tokens", "text", "logprobs",
                                                          "finish_reason", "timings"));
  EXPECT_EQ(json["prompt_tokens"], 3);
  EXPECT_EQ(json["tokens"].size(), 5u);
  EXPECT_EQ(json["logprobs"].size(), 5u);
  EXPECT_EQ(json["finish_reason"], "length");
  EXPECT_THAT(Keys(json["timings"]),
              ::testing::UnorderedElementsAre("load_s", "prefill_tokens_per_s", "decode_tokens_per_s"));
}

TEST_F(CliTest, StopStringsAreTakenAsTheyAre) {
  const Json all = RunJson("generate --model model --prompt abc --max-new-tokens 60 --json");
  const std::string text = all["text"], stop = text.substr(text.find('a'), 1);
  const Json json =
      RunJson("generate --model model --prompt abc --max-new-tokens 60 --json --stop '[x,y]' --stop " + stop);
  EXPECT_EQ(json["text"], text.substr(0, text.find(stop)));
  EXPECT_EQ(json["finish_reason"], "stop");
}

TEST_F(CliTest, ABatchFileGivesAnObjectALineAndTheSameTokens) {
  WriteFileAtomically(dir_ / "batch.jsonl", "\"abc\"\n[1, 2, 3, 4]\n\n{\"prompt\": \"오늘\"}\n{\"tokens\": [5]}\n");
  const Result r = Run("generate --model model --batch-file batch.jsonl --max-new-tokens 6 --seed 2");
  ASSERT_EQ(r.status, 0) << r.err;
  std::istringstream lines(r.out);
  std::vector<Json> results;
  for (std::string line; std::getline(lines, line);) results.push_back(ParseJson(line, "line"));
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[2]["prompt_tokens"], 2);
  const Json alone = RunJson("generate --model model --prompt abc --max-new-tokens 6 --seed 2 --json");
  EXPECT_EQ(results[0]["tokens"], alone["tokens"]);
  EXPECT_EQ(results[0]["logprobs"], alone["logprobs"]);

  WriteFileAtomically(dir_ / "bad.jsonl", "\"abc\"\n[1, 99999]\n");
  ExpectError("generate --model model --batch-file bad.jsonl", 1, "bad.jsonl: line 2: 99999");
  WriteFileAtomically(dir_ / "bad.jsonl", "\"abc\"\n\"ab");
  ExpectError("generate --model model --batch-file bad.jsonl", 1, "bad.jsonl: line 2");
  ExpectError("generate --model model --batch-file bad.jsonl --prompt a", 2, "--batch-file");
}

TEST_F(CliTest, DamagedModelsAreOneLine) {
  const auto damaged = [&](const std::string& name, const std::function<void(const std::filesystem::path&)>& damage) {
    std::filesystem::remove_all(dir_ / name);
    std::filesystem::copy(dir_ / "model", dir_ / name, std::filesystem::copy_options::recursive);
    damage(dir_ / name);
    return "generate --model " + name + " --prompt a";
  };
  const auto cut = [](const char* file, size_t size) {
    return [=](const std::filesystem::path& dir) {
      WriteFileAtomically(dir / file, ReadFile(dir / file).substr(0, size));
    };
  };
  ExpectError(damaged("no-weights", cut("model.safetensors", 0)), 1, "model.safetensors");
  ExpectError(damaged("short-weights", cut("model.safetensors", 5000)), 1, "model.safetensors");
  ExpectError(damaged("short-config", cut("config.json", 40)), 1, "config.json");
  ExpectError(damaged("short-tokenizer", cut("tokenizer.json", 90)), 1, "tokenizer.json");
  ExpectError(damaged("lying-config",
                      [](const std::filesystem::path& dir) {
                        Json json = ParseJson(ReadFile(dir / "config.json"), "config.json");
                        json["n_inner"] = 333;
                        WriteFileAtomically(dir / "config.json", json.dump());
                      }),
              1, "has shape [64, 256], expected [64, 333]");
  ExpectError(damaged("foreign-tokenizer",
                      [](const std::filesystem::path& dir) {
                        CharTrainer trainer;
                        trainer.Add("abcdefghijklmnopqrstuvwxyz");
                        trainer.Train()->Save(dir);
                      }),
              1, "do not belong together");
  ExpectError("bench --preset llama2-70b", 1, "GB are free");
}

TEST_F(CliTest, TokenizeGivesIdsPiecesAndText) {
  const Json json = RunJson("tokenize --model model --text 'ab 오늘' --json");
  EXPECT_THAT(Keys(json), ::testing::UnorderedElementsAre("tokens", "pieces", "timings"));
  EXPECT_EQ(json["pieces"].dump(), R"(["a","b"," ","오","늘"])");
  const std::string ids = Run("tokenize --model model --text 'ab 오늘'").out;
  EXPECT_EQ(Run("tokenize --tokenizer model/tokenizer.json --decode --text '" + ids + "'").out, "ab 오늘");
  const Json decoded = RunJson("tokenize --model model --decode --text '" + ids + "' --json");
  EXPECT_THAT(Keys(decoded), ::testing::UnorderedElementsAre("tokens", "pieces", "text"));
  WriteFileAtomically(dir_ / "lines.jsonl", "\"ab\"\n\"오늘\"\n");
  const Result lines = Run("tokenize --model model --batch-file lines.jsonl");
  EXPECT_THAT(lines.out, MatchesRegex("\\[[0-9]+,[0-9]+\\]\n\\[[0-9]+,[0-9]+\\]\n"));
  ExpectError("tokenize --model model --text z", 1, "z");
  WriteFileAtomically(dir_ / "latin1.txt", kLatin1);
  ExpectError("tokenize --model model <latin1.txt", 1, "byte 2");
  ExpectError("tokenize --text a", 2, "--model");
  ExpectError("tokenize --tokenizer nowhere.json --text a", 1, "nowhere.json");
}

TEST_F(CliTest, TokenizeReadsBertsVocabulary) {
  WriteFileAtomically(dir_ / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncafe\n##s\n!\n");
  const Json json = RunJson("tokenize --tokenizer vocab.txt --text 'Cafés![MASK]' --special --json");
  EXPECT_EQ(json["tokens"].dump(), "[2,5,6,7,4,3]");
  EXPECT_EQ(json["pieces"].dump(), R"(["[CLS]","cafe","##s","!","[MASK]","[SEP]"])");
  EXPECT_EQ(Run("tokenize --tokenizer vocab.txt --decode --text '5 6 7'").out, "cafes!");
  EXPECT_EQ(Run("tokenize --tokenizer vocab.txt --no-parse-special --text '[MASK]'").out, "1 1 1\n");
  WriteFileAtomically(dir_ / "broken.model", "\x0A\x7F");
  ExpectError("tokenize --tokenizer broken.model --text a", 1, "broken.model at byte 0: field 1 is 127 bytes long");
}

TEST_F(CliTest, TokenizerTrainWritesAFileThatTokenizeReads) {
  WriteFileAtomically(dir_ / "text.txt", "low lower lowest 오늘 날씨가 오늘");
  const Json json = RunJson("tokenizer train --data text.txt --vocab-size 265 --out made --json");
  EXPECT_THAT(Keys(json), ::testing::UnorderedElementsAre("vocab_size"));
  EXPECT_EQ(json["vocab_size"], 265);
  const Json ids = RunJson("tokenize --tokenizer made --text 'lower 오늘' --json")["tokens"];
  EXPECT_LT(ids.size(), 12u);
  EXPECT_EQ(RunJson("tokenizer train --data text.txt --kind char --out chars --json")["vocab_size"], 13);
  ExpectError("tokenizer train --data text.txt --vocab-size 10 --out x", 2, "--vocab-size is 10");
  ExpectError("tokenizer train --data text.txt --kind words --out x", 2, "--kind");
  ExpectError("tokenizer train --data nowhere.txt --out x", 1, "nowhere.txt");
  WriteFileAtomically(dir_ / "latin1.txt", kLatin1);
  ExpectError("tokenizer train --data latin1.txt --out x", 1, "byte 2");
  ExpectError("tokenizer train --out x", 2, "--data");
}

TEST_F(CliTest, IdsNeedNoTokenizer) {
  const Json made = RunJson("init --preset tiny --out bare --seed 3 --json");
  EXPECT_EQ(made["bytes"], std::filesystem::file_size(dir_ / "bare" / "model.safetensors"));
  EXPECT_GT(made["parameters"], 100000);
  const Result r = Run("generate --model bare --tokens '1 2 3' --max-new-tokens 4 --greedy");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, MatchesRegex("[0-9]+ [0-9]+ [0-9]+ [0-9]+\n"));
  ExpectError("generate --model bare --prompt a", 1, "tokenizer");
}

TEST_F(CliTest, InitIsAFunctionOfItsSeed) {
  const auto weights = [&](const std::string& flags, const std::string& name) {
    EXPECT_EQ(Run("init --preset tiny --dtype bf16 " + flags + " --out " + name).status, 0);
    return ReadFile(dir_ / name / "model.safetensors");
  };
  const std::string a = weights("--seed 1", "a");
  EXPECT_EQ(a, weights("--seed 1 --threads 1 --isa portable", "b"));
  EXPECT_NE(a, weights("--seed 2", "c"));
  ASSERT_EQ(Run("init --model-config a/config.json --dtype bf16 --seed 1 --out d").status, 0);
  EXPECT_EQ(a, ReadFile(dir_ / "d" / "model.safetensors"));
  ExpectError("init --out x", 2, "--preset");
  ExpectError("init --preset tiny", 2, "--out");
}

TEST_F(CliTest, InitWritesWhatTrainingWouldBeginWith) {
  ASSERT_EQ(Run("init --preset tiny --seed 5 --out begin").status, 0);
  const ModelConfig config = LoadDirectoryConfig(dir_ / "begin");
  const ParameterList list(config);
  std::vector<float> stored(static_cast<size_t>(list.elements)), expected(stored.size());
  LoadParameters(dir_ / "begin", config, list, stored);
  InitializeParameters(list, /*seed=*/5, expected);
  EXPECT_EQ(stored, expected);
}

TEST_F(CliTest, InspectListsTensorsAndFingerprints) {
  const Json json = RunJson("inspect model --fingerprint --json");
  EXPECT_THAT(Keys(json), ::testing::UnorderedElementsAre("architecture", "config", "parameters", "tensors", "unread",
                                                          "fingerprint", "training_fingerprint"));
  EXPECT_EQ(json["architecture"], "gpt2");
  EXPECT_EQ(json["tensors"][0].size(), 3u);
  const Json portable = RunJson("inspect model --fingerprint --json --threads 1 --isa portable");
  EXPECT_EQ(portable["fingerprint"], json["fingerprint"]);
  EXPECT_EQ(portable["training_fingerprint"], json["training_fingerprint"]);
  const Json file = RunJson("inspect model/model.safetensors --json");
  EXPECT_EQ(file["tensors"], json["tensors"]);
  EXPECT_THAT(Run("inspect model").out, HasSubstr("parameters"));
  ExpectError("inspect nowhere", 1, "nowhere");
}

TEST_F(CliTest, LogitsAreANumpyFile) {
  const Json json = RunJson("logits --model model --prompt abc --out logits.npy --json");
  EXPECT_EQ(json["positions"], 3);
  const std::string file = ReadFile(dir_ / "logits.npy");
  EXPECT_THAT(file, StartsWith("\x93NUMPY"));
  EXPECT_THAT(file.substr(0, 128), HasSubstr("(3, " + std::to_string(json["vocab_size"].get<int>()) + ")"));
  ExpectError("logits --model model --prompt abc", 2, "--out");
}

TEST_F(CliTest, BenchHasThePublishedKeys) {
  const Json json = RunJson("bench --model model -p 8 -n 4 --json");
  for (const char* key : {"tokens_per_s", "gflops", "share_of_fma_peak"}) EXPECT_GT(json["prefill"][key], 0) << key;
  for (const char* key : {"tokens_per_s", "gb_per_s", "share_of_read_ceiling"}) {
    EXPECT_GT(json["decode"][key], 0) << key;
  }
  EXPECT_GT(json["read_ceiling_gb_per_s"], 0);
  EXPECT_GT(json["fma_peak_gflops"], 0);
  const Json train = RunJson("bench --train --preset tiny --batch-size 2 --block-size 16 --steps 2 --json");
  for (const char* key : {"step_ms", "tokens_per_s", "peak_rss_gb", "share_of_fma_peak"})
    EXPECT_GT(train[key], 0) << key;
  ExpectError("bench --model model -p 100 -n 100", 1, "128");
}

TEST_F(CliTest, AnInterruptEndsTheStreamCleanly) {
  ModelConfig config = Preset("tiny");
  config.max_position_embeddings = 30000;
  std::filesystem::create_directories(dir_ / "long");
  SaveConfig(dir_ / "long", config, DType::kF32);
  ASSERT_EQ(Run("init --model-config long/config.json --out long").status, 0);
  // Interrupted once the first token is out. (A background job ignores SIGINT until the program asks for it.)
  WriteFileAtomically(dir_ / "interrupt.sh",
                      "'" KINETOK_PROGRAM
                      "' generate --model long --tokens 1 --max-new-tokens 29999 >ids 2>notes &\n"
                      "while [ ! -s ids ]; do sleep 0.02; done\n"
                      "kill -INT $!; wait $!; echo $? >status\n");
  ASSERT_EQ(std::system(("cd '" + dir_.string() + "' && sh interrupt.sh").c_str()), 0);
  EXPECT_EQ(ReadFile(dir_ / "status"), "130\n");
  EXPECT_THAT(ReadFile(dir_ / "ids"), EndsWith("\n"));
  EXPECT_THAT(ReadFile(dir_ / "notes"), HasSubstr("tok/s"));
}

TEST_F(CliTest, AnInterruptEndsABatchCleanly) {
  WriteFileAtomically(dir_ / "batch-ids.jsonl", [] {
    std::string lines;
    for (int i = 0; i < 20000; ++i) lines += "[1]\n";
    return lines;
  }());
  ASSERT_EQ(Run("init --preset tiny --out plain").status, 0);
  WriteFileAtomically(dir_ / "interrupt.sh",
                      "'" KINETOK_PROGRAM
                      "' generate --model plain --batch-file batch-ids.jsonl --max-new-tokens 120 >ids 2>notes &\n"
                      "sleep 0.5; kill -INT $!; wait $!; echo $? >status\n");
  ASSERT_EQ(std::system(("cd '" + dir_.string() + "' && sh interrupt.sh").c_str()), 0);
  EXPECT_EQ(ReadFile(dir_ / "status"), "130\n");
  const std::string out = ReadFile(dir_ / "ids");
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 20000);
  EXPECT_THAT(out, HasSubstr("\"tokens\":[],"));  // of prompts that had not begun
}

TEST_F(CliTest, AFullStdoutIsAFailure) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP();
  const std::string line =
      "cd '" + dir_.string() + "' && '" KINETOK_PROGRAM "' generate --model model --prompt a >/dev/full 2>full.err";
  const int status = std::system(line.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(ReadFile(dir_ / "full.err"), HasSubstr("stdout"));
}

}  // namespace
}  // namespace kinetok
