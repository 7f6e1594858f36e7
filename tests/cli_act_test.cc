// kinetok act as a user or a script runs it.

#include <fcntl.h>
#include <sys/wait.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <numeric>

#include "kinetok/io/image_cases.h"
#include "kinetok/vla/test_policy.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A .npy of float32: its header's words and its numbers.
struct Npy {
  explicit Npy(const std::filesystem::path& file) {
    const std::string bytes = ReadFile(file);
    const size_t begin = 10 + (static_cast<unsigned char>(bytes.at(8)) | static_cast<unsigned char>(bytes.at(9)) << 8);
    header = bytes.substr(0, begin);
    values.resize((bytes.size() - begin) / sizeof(float));
    std::memcpy(values.data(), bytes.data() + begin, values.size() * sizeof(float));
  }
  std::string header;
  std::vector<float> values;
};

class CliActTest : public CliTest, protected TestPolicy {
 protected:
  CliActTest() {
    WritePng(dir_ / "seen.png", View());
    action_end_ = static_cast<int32_t>(config.vocab_size - 64);
  }
  std::string Act(const std::string& more) const {
    return fmt::format("act --model '{}' --image seen.png --instruction reach {}", dir.string(), more);
  }
  int32_t action_end_;
};

TEST_F(CliActTest, JsonHasTheKeysThatScriptsRelyOn) {
  const Json json = RunJson(Act("--json"));
  EXPECT_THAT(Keys(json), ElementsAre("action", "alternatives", "bins", "entropies", "names", "normalized",
                                      "probabilities", "timings", "tokens", "units", "unnorm_key"));
  EXPECT_THAT(Keys(json["timings"]), ElementsAre("decode_s", "image_s", "prefill_s", "vision_s"));
  for (const auto& part : json["timings"]) EXPECT_GT(part.get<double>(), 0);
  for (const char* key :
       {"action", "alternatives", "bins", "entropies", "names", "normalized", "probabilities", "tokens", "units"}) {
    EXPECT_EQ(json[key].size(), 3u) << key;
  }
  EXPECT_EQ(json["unnorm_key"], "toy");
}

TEST_F(CliActTest, ProbabilitiesAreTheSoftmaxOverTheActionTokens) {
  const Json json = RunJson(Act("--dump dumped --json"));
  const std::vector<float> logits = Npy(dir_ / "dumped/logits.npy").values;
  ASSERT_EQ(static_cast<int64_t>(logits.size()), config.vocab_size);
  std::vector<double> p;
  for (int32_t id = action_end_ - 256; id < action_end_; ++id) p.push_back(std::exp(static_cast<double>(logits[id])));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  double entropy = 0;
  for (double& x : p) {
    x /= sum;
    entropy -= x * std::log(x);
  }
  const int32_t token = json["tokens"][0];
  EXPECT_NEAR(json["probabilities"][0], p[token - action_end_ + 256], 1e-9);
  EXPECT_NEAR(json["entropies"][0], entropy, 1e-9);
  std::sort(p.rbegin(), p.rend());
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(json["alternatives"][0][i]["probability"], p[i], 1e-9);
}

TEST_F(CliActTest, WhatItIsComputedFromCanBeDumped) {
  EXPECT_EQ(Run(Act("--dump parts")).status, 0);
  const Npy image(dir_ / "parts/pixel_values.npy"), patches(dir_ / "parts/patch_features.npy");
  EXPECT_THAT(image.header, HasSubstr("(6, 16, 16)"));
  EXPECT_EQ(image.values.size(), 6u * 16 * 16);
  EXPECT_THAT(patches.header, HasSubstr(fmt::format("(16, {})", config.hidden_size)));
  EXPECT_EQ(patches.values.size(), 16u * config.hidden_size);
  const auto [least, most] = std::minmax_element(image.values.begin(), image.values.end());
  EXPECT_LT(*least, 0);
  EXPECT_GT(*most, 0);
}

TEST_F(CliActTest, WithoutTheConstraintTheLikeliestTokenComesWhateverItIs) {
  const Json json = RunJson(Act("--unconstrained --dump free --json")), constrained = RunJson(Act("--json"));
  const std::vector<float> logits = Npy(dir_ / "free/logits.npy").values;
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  EXPECT_EQ(json["tokens"][0], best);
  const auto first = logits.begin() + action_end_ - 256;
  EXPECT_EQ(constrained["tokens"][0], std::max_element(first, first + 256) - logits.begin());
}

TEST_F(CliActTest, PeopleGetATableWithNamesAndUnits) {
  config.carried["kinetok_vla"]["action_names"] = {"reach", "turn", "grip"};
  config.carried["kinetok_vla"]["action_units"] = {"cm", "deg", ""};
  Json changed = ParseJson(ReadFile(dir / "config.json"), "config.json");
  changed["kinetok_vla"] = config.carried["kinetok_vla"];
  WriteFileAtomically(dir / "config.json", changed.dump());
  const Result r = Run(Act(""));
  EXPECT_EQ(r.status, 0) << r.err;
  for (const char* word : {"action", "unit", "normalized", "token", "bin", "probability", "entropy"}) {
    EXPECT_THAT(r.out.substr(0, r.out.find('\n')), HasSubstr(word));
  }
  for (const char* word : {"\nreach ", "\nturn ", "\ngrip ", " cm ", " deg "}) EXPECT_THAT(r.out, HasSubstr(word));
  EXPECT_THAT(r.err, HasSubstr(" actions/s"));
}

// A program with both ends of its conversation in our hands.
class Conversation {
 public:
  explicit Conversation(const std::string& arguments) {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      execl("/bin/sh", "sh", "-c", ("exec '" KINETOK_PROGRAM "' " + arguments + " 2>/dev/null").c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~Conversation() { End(); }
  // Sends a line and waits for the one that answers it; empty when the program ended.
  std::string Ask(const std::string& line) {
    const std::string sent = line + "\n";
    EXPECT_EQ(write(in_, sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
    std::string answer;
    for (char c = 0; read(out_, &c, 1) == 1 && c != '\n';) answer += c;
    return answer;
  }
  int End() {
    if (pid_ < 0) return -1;
    close(in_);
    close(out_);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
};

TEST_F(CliActTest, ABatchIsAnsweredLineByLineByOneLoadedModel) {
  Conversation talk(fmt::format("act --model '{}' --batch-file -", dir.string()));
  const auto ask = [&](const std::string& instruction) {
    const Json line = {{"image", (dir_ / "seen.png").string()}, {"instruction", instruction}};
    return ParseJson(talk.Ask(line.dump()), "answer");
  };
  const Json first = ask("reach");
  EXPECT_EQ(first["tokens"], RunJson(Act("--json"))["tokens"]);
  std::filesystem::rename(dir / "model.safetensors", dir / "elsewhere");  // it has been read
  EXPECT_EQ(ask("reach")["tokens"], first["tokens"]);
  EXPECT_THAT(
      ParseJson(talk.Ask(R"({"image": "nothing.png", "instruction": "a"})"), "answer")["error"].get<std::string>(),
      HasSubstr("nothing.png"));
  EXPECT_THAT(ParseJson(talk.Ask(R"({"image": "a", "instruction": "a", "unormkey": "b"})"), "answer")["error"]
                  .get<std::string>(),
              HasSubstr("stdin: line 4: field \"unormkey\" is unknown; expected image, instruction"));
  EXPECT_THAT(ParseJson(talk.Ask("{"), "answer")["error"].get<std::string>(), HasSubstr("stdin: line 5"));
  EXPECT_EQ(ask("reach")["action"], first["action"]);
  EXPECT_EQ(talk.End(), 1);  // some line had no answer
}

// The two lowest ids mean the same bin; of this picture both are among the likeliest tokens of the gripper.
TEST_F(CliActTest, AlternativesAreBinsThatDiffer) {
  const std::filesystem::path root = KINETOK_SOURCE_DIR;
  const Json json =
      RunJson(fmt::format("act --model '{}' --image '{}' --instruction x --json", (root / "models/robot").string(),
                          (root / "docs/simulation/place.png").string()));
  for (const Json& dimension : json["alternatives"]) {
    std::set<int> bins;
    for (const Json& alternative : dimension) bins.insert(alternative["bin"].get<int>());
    EXPECT_EQ(bins.size(), 5u) << dimension;
  }
  const Json second = json["alternatives"][6][1];
  EXPECT_EQ(second["token"], 3072);
  EXPECT_EQ(second["bin"], 254);
  EXPECT_NEAR(second["probability"], 0.2184, 2e-4);  // 0.210 and 0.008
}

// Weights of 15 GB take their time.
TEST_F(CliActTest, AWrongKeyAndABadPictureAreToldBeforeTheWeightsAreRead) {
  std::filesystem::remove(dir / "model.safetensors");
  ExpectError(Act(""), 1, "model.safetensors");
  ExpectError(Act("--unnorm-key bridge"), 1, "unnorm_key is \"bridge\"");
  ExpectError(fmt::format("act --model '{}' --batch-file - --unnorm-key bridge", dir.string()), 1,
              "unnorm_key is \"bridge\"");
  ExpectError(fmt::format("act --model '{}' --image none.png --instruction reach", dir.string()), 1, "none.png");
}

TEST_F(CliActTest, BadInputIsOneLineAndNoAction) {
  int bad = 0;
  for (const ImageCase& c : ImageCases()) {
    if (c.error.empty()) continue;
    ++bad;
    WriteFileAtomically(dir_ / "bad_image", c.bytes);
    ExpectError(fmt::format("act --model '{}' --image bad_image --instruction a", dir.string()), 1, "bad_image");
  }
  EXPECT_GT(bad, 10);
  ExpectError(Act("--max-image-pixels 0"), 2, "--max-image-pixels: Value 0 not in range 1 to 1099511627776");
  for (const char* flag : {"--adapter", "--dump"}) {
    ExpectError(Act(std::string(flag) + " ''"), 2, std::string(flag) + " is empty; expected a path");
  }
  const std::string batch = fmt::format("act --model '{}' --batch-file ", dir.string());
  ExpectError(batch + "'" + dir.string() + "'", 1, "is a folder, expected a file of JSON lines");
  ExpectError(batch + "none", 1, "none: cannot be opened");
  ExpectError(Act("--max-image-pixels 20"), 1, "seen.png");
  ExpectError(Act("--unnorm-key bridge"), 1, "\"bridge\"");
  WriteFileAtomically(dir_ / "long", std::string(100000, 'x'));
  ExpectError(fmt::format("act --model '{}' --image seen.png --instruction \"$(cat long)\"", dir.string()), 1,
              "the instruction has 100000 bytes");
}

}  // namespace
}  // namespace kinetok
