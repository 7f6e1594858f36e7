// kinetok train as a user runs it.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// A run of a few milliseconds a step; the schedule lets a longer run have the bits of a shorter one.
constexpr const char* kTrain =
    "train --data text.txt --block-size 16 --batch-size 4 --schedule constant --warmup-steps 2 --eval-every 0 ";
constexpr const char* kSmall = "--hidden-size 32 --num-hidden-layers 1 --num-attention-heads 2 ";
const std::string kTiny = std::string(kTrain) + kSmall;

class CliTrainTest : public CliTest {
 protected:
  static void SetUpTestSuite() {
    CliTest::SetUpTestSuite();
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat on mat " + std::to_string(i * i % 97) + ".\n";
    Write("text.txt", text);
  }

  static void Write(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    WriteFileAtomically(dir_ / name, text);
  }
  static std::string Read(const std::string& name) { return ReadFile(dir_ / name); }
  static Json ReadJson(const std::string& name) { return ParseJson(Read(name), name); }

  static void ExpectSuccess(const std::string& arguments) {
    const Result r = Run(arguments);
    EXPECT_EQ(r.status, 0) << arguments << "\n" << r.err;
  }

  // Fails with this status; the last line on stderr, the only one that tells an error, contains `message`.
  static void ExpectFailure(const std::string& arguments, int status, const std::string& message) {
    const Result r = Run(arguments);
    EXPECT_EQ(r.status, status) << arguments << "\n" << r.err;
    EXPECT_EQ(r.out, "") << arguments;
    const size_t at = r.err.find("kinetok: error: ");
    ASSERT_NE(at, std::string::npos) << arguments << "\n" << r.err;
    EXPECT_THAT(r.err.substr(at), HasSubstr(message)) << arguments;
    EXPECT_EQ(r.err.find('\n', at), r.err.size() - 1) << arguments << "\n" << r.err;
  }

  // Runs the lines as `sh` does, in the folder; KINETOK is the program.
  static int Script(const std::string& lines) {
    Write("script.sh", "KINETOK='" KINETOK_PROGRAM "'\n" + lines);
    const int status = std::system(("cd '" + dir_.string() + "' && sh script.sh").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Every file under a run's directory, but for the lock.
  static std::map<std::string, std::string> Files(const std::string& name) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / name)) {
      if (entry.is_regular_file()) files[fs::relative(entry.path(), dir_ / name).string()] = ReadFile(entry.path());
    }
    return files;
  }
};

TEST_F(CliTrainTest, TheResultAsJsonHasThePublishedKeysOnOneLine) {
  const Json json = RunJson(kTiny + "--out json --max-steps 3 --json");
  EXPECT_THAT(Keys(json), UnorderedElementsAre("val_loss", "train_loss", "steps", "tokens_per_s", "peak_rss_gb"));
  EXPECT_EQ(json["steps"], 3);
  EXPECT_GT(json["val_loss"], 1.0);
  EXPECT_GT(json["train_loss"], 1.0);
  EXPECT_GT(json["tokens_per_s"], 0);
  EXPECT_THAT(Run("train --help").out, HasSubstr("Example:\n  kinetok train "));
}

TEST_F(CliTrainTest, AFailedRestartLeavesTheOldRunByteForByte) {
  ExpectSuccess(kTiny + "--out old --max-steps 6");
  ExpectSuccess(kTiny + "--out whole --max-steps 9");
  const auto before = Files("old");
  const auto expect_kept = [&](const std::string& flags, int status, const std::string& message) {
    ExpectFailure(flags + " --out old --restart", status, message);
    auto after = Files("old");
    after.erase("data/train.tokens.next");  // waits for a restart that can begin
    EXPECT_EQ(Keys(Json(after)), Keys(Json(before))) << flags;
    EXPECT_TRUE(after == before) << flags;
  };
  const std::string train = std::string("train --data text.txt ") + kSmall;
  expect_kept(train + "--batch-size 0", 2, "--batch-size is 0");
  expect_kept(train + "--vocab-size 3", 2, "--vocab-size is 3");
  expect_kept(train + "--block-size 100000", 1, "block-size");
  expect_kept(train + "--block-size 100000 --tokenizer bpe:300", 1, "block-size");
  EXPECT_TRUE(fs::exists(dir_ / "old/data/train.tokens.next"));
  expect_kept(train + "--tokenizer nowhere.json", 1, "nowhere.json");
  expect_kept("train --data nowhere.txt", 1, "nowhere.txt");
  expect_kept(train + "--sample-prompt Q", 1, "--sample-prompt");
  expect_kept("train --data text.txt --batch-size 1048576 --block-size 1000 --hidden-size 1024", 1, " GB");

  ExpectSuccess(kTiny + "--out old --max-steps 9");
  EXPECT_EQ(Read("old/model.safetensors"), Read("whole/model.safetensors"));
  EXPECT_FALSE(fs::exists(dir_ / "old/data/train.tokens.next"));

  const std::string other = kTiny + "--tokenizer bpe:300 --max-steps 4 ";
  ExpectSuccess(other + "--out old --restart");
  ExpectSuccess(other + "--out new");
  for (const char* file : {"model.safetensors", "trainer_state.safetensors", "tokenizer.json", "data/train.tokens"}) {
    EXPECT_EQ(Read(std::string("old/") + file), Read(std::string("new/") + file)) << file;
  }
}

TEST_F(CliTrainTest, ResumeIsTheDefaultAndExcludesRestart) {
  ExpectSuccess(kTiny + "--out resumed --max-steps 2 --resume");
  ExpectSuccess(kTiny + "--out resumed --max-steps 4 --resume");
  EXPECT_THAT(Run(kTiny + "--out resumed --max-steps 5").err, HasSubstr("resuming resumed at step 4 of 5"));
  ExpectError(kTiny + "--out resumed --resume --restart", 2, "excludes");
  ExpectError(kTiny + "--out resumed --resum", 2, "did you mean \"--resume\"?");
  Write("restart.json", R"({"restart": true})");
  EXPECT_THAT(Run(kTiny + "--out resumed --max-steps 5 --resume --config restart.json").err, HasSubstr("at step 5 of"));
  EXPECT_THAT(Run(kTiny + "--out resumed --max-steps 5 --config restart.json").err, HasSubstr("at step 0 of 5"));
  Write("both.json", R"({"restart": true, "resume": true})");
  ExpectError(kTiny + "--out resumed --config both.json", 1, "both.json: resume and restart exclude each other");
}

TEST_F(CliTrainTest, ASamplePromptIsCheckedBeforeTheFirstStep) {
  const std::string sampled = kTiny + "--max-steps 4 --sample-every 2 --sample-tokens 5 ";
  ExpectFailure(sampled + "--out prompt --sample-prompt 'the Ω'", 1, "--sample-prompt: character \"Ω\"");
  ExpectFailure(sampled + "--out prompt --sample-prompt 'the cat sat on mat 1.'", 1,
                "--sample-prompt: the prompt has 21 tokens, the model's context holds 16");
  EXPECT_THAT(Files("prompt"), UnorderedElementsAre(::testing::Key("lock")));
  ExpectSuccess(sampled + "--out prompt --sample-prompt 'the cat'");
  EXPECT_THAT(Read("prompt/log.jsonl"), HasSubstr("{\"step\":4,\"sample\":\"the cat"));
}

TEST_F(CliTrainTest, AConfigFileTakesFlagsByTheirNamesTheNegativeOnesToo) {
  const std::string train =
      std::string(kTrain) + kSmall + "--architecture gpt2 --max-steps 1 --config flags.json --restart --out flags ";
  const auto model = [&](const std::string& json, const std::string& flags = "") {
    Write("flags.json", json);
    ExpectSuccess(train + flags);
    return ReadJson("flags/config.json");
  };
  EXPECT_FALSE(model("{}").contains("kinetok_bias"));
  EXPECT_EQ(model(R"({"no-bias": true})")["kinetok_bias"], false);
  EXPECT_EQ(model(R"({"bias": false})")["kinetok_bias"], false);
  EXPECT_FALSE(model(R"({"no-bias": false})").contains("kinetok_bias"));
  EXPECT_FALSE(model(R"({"no-bias": true})", "--bias").contains("kinetok_bias"));
  EXPECT_EQ(model(R"({"no-tie-word-embeddings": true})")["tie_word_embeddings"], false);
  EXPECT_EQ(model(R"({"no-tie-word-embeddings": false})")["tie_word_embeddings"], true);
  model(R"({"no-parse-special": true, "seed": 7, "learning-rate": 0.3, "data": ["text.txt"]})");
  EXPECT_EQ(ReadJson("flags/train_config.json")["parse-special"], false);
  EXPECT_EQ(ReadJson("flags/train_config.json")["seed"], 7);
  EXPECT_EQ(ReadJson("flags/train_config.json")["learning-rate"], 0.3);

  const auto error = [&](const std::string& json, const std::string& message) {
    Write("flags.json", json);
    ExpectError(train, 1, "flags.json: " + message);
  };
  error(R"({"no-bias": "yes"})", "no-bias is \"yes\"; it must be true or false");
  error(R"({"no-bias": true, "bias": true})", "\"no-bias\" gives a flag that another key gave already");
  error(R"({"seed": -1})", "seed is -1; it must be a whole number from 0");
  error(R"({"learning-rate": "fast"})", "learning-rate is \"fast\"; it must be a number");
  error(R"({"learningrate": 1})", "\"learningrate\" is no flag of train; did you mean \"learning-rate\"?");
  error("[]", "expected a JSON object");
}

TEST_F(CliTrainTest, AModelConfigurationMeansWhatItSays) {
  const auto write_config = [](int vocab_size) {
    const Json json = {{"model_type", "llama"},  {"vocab_size", vocab_size}, {"hidden_size", 32},
                       {"num_hidden_layers", 1}, {"num_attention_heads", 2}, {"num_key_value_heads", 1},
                       {"head_dim", 12},         {"intermediate_size", 40},  {"max_position_embeddings", 40}};
    Write("wide.json", json.dump());
  };
  write_config(100);
  const std::string train = std::string(kTrain) + "--model-config wide.json --max-steps 1 --restart --out wide ";
  const auto model = [&](const std::string& flags) {
    ExpectSuccess(train + flags);
    return ReadJson("wide/config.json");
  };
  const Json kept = model("--architecture llama");
  EXPECT_EQ(kept["head_dim"], 12);
  EXPECT_EQ(kept["max_position_embeddings"], 40);
  EXPECT_EQ(kept["vocab_size"], 100);
  EXPECT_EQ(kept["num_key_value_heads"], 1);
  const Json changed = model("--num-attention-heads 4 --vocab-size 90 --max-position-embeddings 30");
  EXPECT_EQ(changed["head_dim"], 8);
  EXPECT_EQ(changed["max_position_embeddings"], 30);
  EXPECT_EQ(changed["vocab_size"], 90);

  ExpectError(train + "--architecture gpt2", 2, "--architecture is gpt2, wide.json is a llama");
  ExpectError(train + "--preset tiny", 2, "--preset");
  const std::string longer = "train --data text.txt --model-config wide.json --out wide --restart --block-size 41";
  ExpectError(longer, 2, "--block-size is 41; it must be at most 40, the max_position_embeddings of wide.json");
  ExpectError(longer + " --max-position-embeddings 20", 2, "--max-position-embeddings is 20; it must be at least 41");
  write_config(5);
  ExpectFailure(train, 1, "wide.json: vocab_size is 5, expected at least 22, the size of the tokenizer");
}

TEST_F(CliTrainTest, TrainConfigJsonMakesTheSameRunAgain) {
  const std::string train = std::string(kTrain) + kSmall;
  const std::map<std::string, std::string> runs = {
      {"context", train + "--max-position-embeddings 64 --learning-rate 3e-3 --tokenizer bpe:300 --export-dtype bf16"},
      {"dropout", train + "--architecture llama --dropout 0.3 --no-parse-special --val-fraction 0.3 --seed 5"},
      {"no-bias", train + "--architecture gpt2 --no-bias --sample-every 2 --sample-prompt cat --sample-tokens 3"}};
  for (const auto& [name, flags] : runs) {
    ExpectSuccess(fmt::format("{} --max-steps 4 --out {}", flags, name));
    const std::string weights = Read(name + "/model.safetensors");
    const std::string config = fmt::format("train --config {}/train_config.json ", name);
    ExpectSuccess(config + "--out again");
    EXPECT_EQ(Read("again/model.safetensors"), weights) << name;
    EXPECT_EQ(Read("again/trainer_state.safetensors"), Read(name + "/trainer_state.safetensors")) << name;
    fs::remove_all(dir_ / "again");

    const Result resumed = Run(fmt::format("{} --max-steps 5 --out {}", config, name));
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("at step 4 of 5"));
    ExpectSuccess(flags + " --max-steps 5 --out again");
    EXPECT_EQ(Read("again/model.safetensors"), Read(name + "/model.safetensors")) << name;
    fs::remove_all(dir_ / "again");
  }
  ExpectFailure("train --config dropout/train_config.json --out dropout --hidden-size 64", 1,
                "dropout/train_config.json: model-config.head_dim is 16 in this run, now it is 32");
  ExpectFailure("train --config dropout/train_config.json --out dropout --dropout 0.25", 1,
                "model-config.attention_dropout is 0.3 in this run, now it is 0.25");
  ExpectFailure("train --config dropout/train_config.json --out dropout --val-fraction 0.2", 1, "train-data.tokens is");
}

TEST_F(CliTrainTest, ValuesOutOfRangeAreWrongUsage) {
  const std::string train = std::string("train --data text.txt --out range ");
  ExpectError(train + "--batch-size -1", 2, "--batch-size is -1; it must be from 1 to");
  ExpectError(train + "--batch-size 1e3", 2, "--batch-size is \"1e3\"; it must be a whole number");
  ExpectError(train + "--max-steps 99999999999999999999", 2, "--max-steps is 99999999999999999999; it must be a whole");
  ExpectError(train + "--learning-rate nan", 2, "--learning-rate is nan; it must be above 0");
  ExpectError(train + "--learning-rate fast", 2, "--learning-rate is \"fast\"; it must be a number");
  ExpectError(train + "--weight-decay 1e999", 2, "--weight-decay is 1e999; it must be a number that");
  ExpectError(train + "--seed -1", 2, "--seed is -1; it must be a whole number from 0 to 9223372036854775807");
  ExpectError(train + "--seed 18446744073709551615", 2,
              "--seed is 18446744073709551615; it must be a whole number from 0");
  ExpectError(train + "--tokenizer bpe:10", 2, "--tokenizer is \"bpe:10\": vocab_size is 10; it must be from 257");
  ExpectError(train + "--tokenizer bpe:many", 2, "--tokenizer is \"bpe:many\"; the size");
  ExpectError(train + "--preset gpt2-124m", 2, "--tokenizer is missing");
  ExpectError(train + "--val-fraction nan", 2, "--val-fraction is nan; it must be at least 0 and below 1");
  ExpectError(train + "--val-fraction 1", 2, "--val-fraction is 1;");
  ExpectError(train + "--dropout 1", 2, "--dropout is 1; it must be at least 0 and below 1");
  ExpectError(train + "--dropout nan", 2, "--dropout is nan;");
  ExpectError(train + "--sample-tokens 0", 2, "--sample-tokens is 0; it must be a whole number from 1 to");
  ExpectError(train + "--hidden-size 0", 2, "--hidden-size is 0; it must be a whole number from 1 to");
  ExpectError(train + "--hidden-size 30", 2, "--hidden-size is 30; it must be a multiple of the 4 attention heads");
  ExpectError(train + "--block-size 16 --max-position-embeddings 8", 2,
              "--max-position-embeddings is 8; it must be at least 16");
  ExpectError(train + "--export-dtype f8", 2, "--export-dtype is \"f8\"; it must be");
  ExpectError(train + "--document-separator page", 2, "--document-separator is \"page\"");
  ExpectError(train + "--architecture bert", 2, "--architecture");
  ExpectError("train --out range", 2, "--data is missing");
  ExpectError("train --data text.txt", 2, "--out is missing");
  EXPECT_FALSE(fs::exists(dir_ / "range"));
  ExpectFailure(train + "--vocab-size 3", 2, "--vocab-size is 3; it must be at least 22, the size of the tokenizer");
  // Whole numbers are decimal: CLI11 would take this for 8 and wrap others.
  ExpectSuccess(kTiny + "--out range --max-steps 010");
  EXPECT_EQ(ReadJson("range/train_config.json")["max-steps"], 10);
}

TEST_F(CliTrainTest, DataIsAFolderEvenOneThatHoldsTheRun) {
  Write("corpus/a.txt", Read("text.txt"));
  Write("corpus/sub/b.txt", "the cat.\n");
  const std::string flags = std::string("--block-size 16 --batch-size 4 --schedule constant ") + kSmall;
  ExpectSuccess("train --data corpus --out corpus/run --max-steps 2 " + flags);
  Write("corpus/run/data/train.tokens.tmp4242", "half of a token file");
  ExpectSuccess("train --data corpus --out corpus/run --max-steps 4 " + flags);
  ExpectSuccess("train --data corpus/a.txt corpus/sub/b.txt --out elsewhere --max-steps 4 " + flags);
  EXPECT_EQ(Read("corpus/run/model.safetensors"), Read("elsewhere/model.safetensors"));
  EXPECT_FALSE(fs::exists(dir_ / "corpus/run/data/train.tokens.tmp4242"));
  ExpectError(std::string("train --data corpus/run --out corpus/run ") + kSmall, 1,
              "corpus/run: is the run's own folder");
}

TEST_F(CliTrainTest, AnotherMadeTokenizerDoesNotResumeARun) {
  ExpectSuccess(kTiny + "--out made --max-steps 2");
  ExpectFailure(kTiny + "--out made --tokenizer bpe:300", 1,
                "--tokenizer is \"bpe:300\", this run began with \"char\"");
  ExpectSuccess(kTiny + "--out made --max-steps 3 --tokenizer char");
}

TEST_F(CliTrainTest, DataTooShortIsAFailure) {
  Write("short.txt", "the cat");
  ExpectFailure("train --data short.txt --out short", 1, "a block of 64 (block-size) needs at least");
  for (const char* text : {"", "t"}) {
    Write("held_out.txt", text);
    ExpectFailure(kTiny + "--out short --val-data held_out.txt", 1, "--val-data");
  }
  ExpectFailure("train --data nowhere --out short", 1, "nowhere: no such file or folder");
  Write("latin1.txt", "caf\xE9 au lait");
  ExpectFailure("train --data latin1.txt --out short", 1, "latin1.txt: is not valid UTF-8 at byte 3");
}

TEST_F(CliTrainTest, AnInterruptSavesAStateThatResumesToTheBitsOfAnUndisturbedRun) {
  ASSERT_EQ(Script("\"$KINETOK\" " + kTiny +
                   "--threads 2 --max-steps 100000000 --save-every 0 --out stopped --json >result 2>notes &\n"
                   "while [ ! -s stopped/log.jsonl ] && kill -0 $!; do sleep 0.02; done\n"
                   "sleep 0.05; kill -INT $!; wait $!; echo $? >status\n"),
            0);
  EXPECT_EQ(Read("status"), "130\n") << Read("notes");
  const Json json = ReadJson("result");
  EXPECT_EQ(json["val_loss"], nullptr);
  const auto steps = json["steps"].get<int64_t>();
  ASSERT_GE(steps, 1);
  const std::string more = kTiny + "--max-steps " + std::to_string(steps + 3);
  const Result resumed = Run(more + " --out stopped --threads 1");
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resuming stopped at step " + std::to_string(steps)));
  ExpectSuccess(more + " --out undisturbed --threads 3");
  EXPECT_EQ(Read("stopped/model.safetensors"), Read("undisturbed/model.safetensors"));
  EXPECT_EQ(Read("stopped/trainer_state.safetensors"), Read("undisturbed/trainer_state.safetensors"));
}

TEST_F(CliTrainTest, ASecondProcessInTheSameDirectoryIsRefused) {
  ASSERT_EQ(Script("\"$KINETOK\" " + kTiny +
                   "--threads 1 --max-steps 100000000 --out shared >/dev/null 2>&1 &\n"
                   "while [ ! -s shared/log.jsonl ] && kill -0 $!; do sleep 0.02; done\n"
                   "\"$KINETOK\" " +
                   kTiny +
                   "--out shared >second.out 2>second.err; echo $? >second\n"
                   "\"$KINETOK\" " +
                   kTiny +
                   "--out shared --restart >>second.out 2>second.err; echo $? >>second\n"
                   "kill -INT $!; wait $!; echo $? >>second\n"),
            0);
  EXPECT_EQ(Read("second"), "1\n1\n130\n");
  EXPECT_EQ(Read("second.out"), "");
  EXPECT_THAT(Read("second.err"),
              ::testing::MatchesRegex("kinetok: error: shared is in use: [^\n]*another process[^\n]*\n"));
}

TEST_F(CliTrainTest, ALossThatIsNotFiniteNamesTheStepAndKeepsTheCheckpoint) {
  const std::string wild = kTiny + "--out wild --learning-rate 1e30 --save-every 1";
  ExpectFailure(wild, 1, "step 2: the ");
  EXPECT_THAT(Run(wild).err,
              AllOf(HasSubstr("resuming wild at step 1"), HasSubstr("the checkpoint of step 1 in wild")));
}

TEST_F(CliTrainTest, AFullDiskIsAFailureAndTheOldCheckpointSurvives) {
  const std::string train = kTiny + "--save-every 2 --out full ";
  ExpectSuccess(train + "--max-steps 4");
  const std::string state = Read("full/trainer_state.safetensors");
  ASSERT_GT(state.size(), 102400u);
  ASSERT_LT(Read("full/model.safetensors").size(), 102400u);
  // No file may grow beyond 200 * 512 bytes: room for the weights, not for the state.
  EXPECT_EQ(Script("ulimit -f 200; \"$KINETOK\" " + train + "--max-steps 8 2>full.err"), 1);
  EXPECT_THAT(Read("full.err"), HasSubstr("kinetok: error: full/trainer_state.safetensors: cannot be written: "));
  EXPECT_EQ(Read("full/trainer_state.safetensors"), state);
  EXPECT_THAT(Keys(Json(Files("full"))), Not(Contains(HasSubstr(".tmp"))));
  ExpectSuccess(train + "--max-steps 8");
  ExpectSuccess(kTiny + "--out roomy --max-steps 8");
  EXPECT_EQ(Read("full/model.safetensors"), Read("roomy/model.safetensors"));
}

TEST_F(CliTrainTest, ALogThatAPowerCutDamagedDoesNotStopTheRun) {
  ExpectSuccess(kTiny + "--out power --max-steps 4");
  Write("power/log.jsonl", Read("power/log.jsonl") + std::string(64, '\0') + "\n{\"step\": 9}\n");
  ExpectSuccess(kTiny + "--out power --max-steps 6");
  EXPECT_THAT(Read("power/log.jsonl"), AllOf(HasSubstr("\"step\":6"), Not(HasSubstr("\"step\": 9"))));
  EXPECT_EQ(Read("power/log.jsonl").find('\0'), std::string::npos);
}

TEST_F(CliTrainTest, FilesThatMayNotBeReadOrWrittenSaySo) {
  fs::create_directories(dir_ / "odd/lock");  // what cannot be opened as a file, by root either
  ExpectError(kTiny + "--out odd", 1, "odd: cannot be written: ");
  ExpectError(kTiny + "--out text.txt/run", 1, "text.txt/run: cannot be created: ");
  if (geteuid() == 0) GTEST_SKIP() << "modes do not bind root";
  Write("secret.txt", Read("text.txt"));
  fs::permissions(dir_ / "secret.txt", fs::perms::none);
  ExpectFailure("train --data secret.txt --out secret", 1, "secret.txt: cannot be opened: Permission denied");
  fs::create_directories(dir_ / "closed");
  fs::permissions(dir_ / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  ExpectError(kTiny + "--out closed", 1, "closed: cannot be written: closed/lock: Permission denied");
}

}  // namespace
}  // namespace kinetok
