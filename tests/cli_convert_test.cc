// Models in other formats, as a user converts, inspects and runs them; and the memory that loading takes.

#include "kinetok/io/gguf_cases.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class CliConvertTest : public CliTest {
 protected:
  static std::string Greedy(const std::string& model) {
    const Result r = Run("generate --model " + model + " --tokens '1 2 3' --max-new-tokens 20 --greedy");
    EXPECT_EQ(r.status, 0) << r.err;
    return r.out;
  }
};

TEST_F(CliConvertTest, EveryCommandTakesAGgufFile) {
  ASSERT_EQ(Run("init --preset tiny-llama --dtype bf16 --out hf").status, 0);
  const Json made = RunJson("convert --model hf --out m.gguf --json");
  EXPECT_THAT(Keys(made), UnorderedElementsAre("parameters", "bytes", "tensors", "out"));
  EXPECT_EQ(made["bytes"], std::filesystem::file_size(dir_ / "m.gguf"));
  EXPECT_EQ(made["out"], "m.gguf");
  EXPECT_EQ(Greedy("m.gguf"), Greedy("hf"));
  EXPECT_EQ(Run("logits --model m.gguf --tokens 1 --out l.npy").status, 0);
  EXPECT_EQ(Run("bench --model m.gguf -p 4 -n 2").status, 0);
  EXPECT_EQ(RunJson("inspect m.gguf --fingerprint --json")["fingerprint"],
            RunJson("inspect hf --fingerprint --json")["fingerprint"]);
  ExpectError("generate --model m.gguf --prompt a", 1, "m.gguf: carries no tokenizer");
  ExpectError("tokenize --model m.gguf --text a", 1, "m.gguf: carries no tokenizer");

  ASSERT_EQ(Run("convert --model m.gguf --out back --max-shard-size 100KB").status, 0);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "back" / "model.safetensors.index.json"));
  EXPECT_EQ(Greedy("back"), Greedy("hf"));
  EXPECT_EQ(RunJson("inspect back --json")["tensors"].size(), RunJson("inspect hf --json")["tensors"].size());
}

TEST_F(CliConvertTest, InspectExplainsAGgufFile) {
  ASSERT_EQ(Run("init --preset tiny --out gpt2").status, 0);
  ASSERT_EQ(Run("convert --model gpt2 --out g.gguf --dtype f16").status, 0);
  const Json json = RunJson("inspect g.gguf --json");
  EXPECT_THAT(Keys(json),
              UnorderedElementsAre("architecture", "config", "parameters", "tensors", "unread", "metadata"));
  EXPECT_EQ(json["architecture"], "gpt2");
  EXPECT_EQ(json["config"]["n_embd"], 64);
  EXPECT_EQ(json["tensors"][0].dump(), R"({"dtype":"F16","name":"token_embd.weight","shape":[512,64]})");
  EXPECT_EQ(json["metadata"]["gpt2.block_count"], 2);
  EXPECT_THAT(Run("inspect g.gguf").out,
              AllOf(HasSubstr("metadata      gpt2.context_length = 128"), HasSubstr("blk.1.attn_qkv.weight     F16")));

  // A file that cannot be run is listed all the same, with the reason.
  using B = GgufBytes;
  WriteFileAtomically(dir_ / "q.gguf", B::File({B::Field("general.architecture", 8, B::Text("mamba"))},
                                               {B::Tensor("blk.0.ssm_in.weight", {256, 2}, 12, 0)}, 288));
  const Json listed = RunJson("inspect q.gguf --json");
  EXPECT_EQ(listed["tensors"][0]["dtype"], "Q4_K");
  EXPECT_EQ(listed["parameters"], 512);
  EXPECT_THAT(listed["problem"].get<std::string>(), HasSubstr("\"mamba\""));
  ExpectError("generate --model q.gguf --tokens 1", 1, "field \"general.architecture\" is \"mamba\"");
  WriteFileAtomically(dir_ / "broken.gguf", "GGUF");
  ExpectError("inspect broken.gguf", 1, "broken.gguf: the file ends in the version");
  ExpectError("generate --model broken.gguf --tokens 1", 1, "broken.gguf: the file ends in the version");
}

TEST_F(CliConvertTest, WrongUsageNamesTheFlag) {
  ExpectError("convert --out x", 2, "--model DIR");
  ExpectError("convert --model model", 2, "--out is missing");
  ExpectError("convert --model model --out x --dtype q4", 2, "--dtype is \"q4\"");
  ExpectError("convert --model model --out x --max-shard-size 0", 2, "--max-shard-size is 0");
  ExpectError("convert --model model --out x --max-shard-size many", 2, "--max-shard-size");
  ExpectError("convert --model model --out model", 1, "model: exists already, expected a new name; --force replaces");
  ExpectError("convert --model model --out chars.gguf", 1, "its tokenizer has no form in GGUF");
  ExpectError("convert --model nowhere --out x", 1, "nowhere");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x"));
}

TEST_F(CliConvertTest, ADirectoryKeepsItsTokenizer) {
  ASSERT_EQ(Run("convert --model model --dtype bf16 --out half").status, 0);
  EXPECT_EQ(ReadFile(dir_ / "half" / "tokenizer.json"), ReadFile(dir_ / "model" / "tokenizer.json"));
  EXPECT_EQ(Run("generate --model half --prompt abc --max-new-tokens 3").status, 0);
}

TEST_F(CliConvertTest, LoadingHoldsOneCopyOfTheWeights) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs memory of its own";
#endif
  ModelConfig config = Preset("tiny-llama");
  config.hidden_size = 1024;
  config.num_attention_heads = 8;
  config.num_key_value_heads = 4;
  config.head_dim = 128;
  config.intermediate_size = 2816;
  config.num_hidden_layers = 4;
  config.vocab_size = 8000;
  std::filesystem::create_directories(dir_ / "large");
  SaveConfig(dir_ / "large", config, DType::kBF16);
  ASSERT_EQ(Run("init --model-config large/config.json --dtype bf16 --out large").status, 0);
  ASSERT_EQ(Run("convert --model large --out shards --max-shard-size 20MB").status, 0);
  ASSERT_EQ(Run("convert --model large --out large.gguf").status, 0);
  const auto generate = [](const char* model) {
    return std::vector<std::string>{"generate",         "--model", model,      "--tokens",  "1 2 3",
                                    "--max-new-tokens", "2",       "--greedy", "--threads", "2"};
  };
  ASSERT_EQ(Run("init --preset tiny --out small").status, 0);
  const int64_t base = PeakRss(generate("small"));
  const auto weights = static_cast<int64_t>(std::filesystem::file_size(dir_ / "large" / "model.safetensors"));
  ASSERT_GT(weights, 100'000'000);
  // What is being packed lies beside what is packed: of these tensors the largest has 16 MB.
  for (const char* model : {"large", "shards", "large.gguf"}) {
    EXPECT_LT(PeakRss(generate(model)) - base, weights * 115 / 100 + 16'400'000) << model;
  }
  const std::vector<std::string> convert = {"convert", "--model", "large", "--out", "again.gguf"};
  EXPECT_LT(PeakRss(convert), base + 60'000'000);
  std::filesystem::remove_all(dir_ / "large");
  std::filesystem::remove_all(dir_ / "shards");
}

}  // namespace
}  // namespace kinetok
