// The program as a user runs it, in a folder of its own: command lines, what they print and how they end.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/presets.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {

struct Result {
  int status = -1;
  std::string out, err;
};

// A folder with a character model of random weights: "model", and whatever a test puts beside it.
class CliTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::filesystem::path(::testing::TempDir()) / ("kinetok_cli_test_" + std::to_string(getpid()));
    std::filesystem::create_directories(dir_);
    CharTrainer trainer({"<|endoftext|>"});
    trainer.Add("abcdefgh \n오늘");
    const auto tokenizer = trainer.Train();
    ModelConfig config = Preset("tiny");
    config.vocab_size = tokenizer->vocab_size();
    const ParameterList list(config);
    std::vector<float> flat(static_cast<size_t>(list.elements));
    InitializeParameters(list, /*seed=*/1, flat);
    SaveCheckpoint(dir_ / "model", config, flat, tokenizer.get(), DType::kF32);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(dir_); }

  // `arguments` as typed in a shell, in the folder.
  static Result Run(const std::string& arguments) {
    const auto out = dir_ / "stdout", err = dir_ / "stderr";
    const std::string line = "cd '" + dir_.string() + "' && '" KINETOK_PROGRAM "' " + arguments + " >'" + out.string() +
                             "' 2>'" + err.string() + "'";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(out), ReadFile(err)};
  }

  // Fails with this status, one line on stderr that contains `message`, and nothing on stdout.
  static void ExpectError(const std::string& arguments, int status, const std::string& message) {
    const Result r = Run(arguments);
    EXPECT_EQ(r.status, status) << arguments << "\n" << r.err;
    EXPECT_EQ(r.out, "") << arguments;
    EXPECT_THAT(r.err, ::testing::AllOf(::testing::StartsWith("kinetok: error: "), ::testing::HasSubstr(message),
                                        ::testing::EndsWith("\n")))
        << arguments;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << arguments << "\n" << r.err;
  }

  static Json RunJson(const std::string& arguments) {
    const Result r = Run(arguments);
    EXPECT_EQ(r.status, 0) << arguments << "\n" << r.err;
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 1) << arguments << "\n" << r.out;
    return ParseJson(r.out, arguments);
  }

  // Bytes that the program had in memory at most while it ran these words, in the folder.
  static int64_t PeakRss(std::vector<std::string> words) {
    words.insert(words.begin(), KINETOK_PROGRAM);
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, STDOUT_FILENO);
      dup2(null, STDERR_FILENO);
      if (chdir(dir_.c_str()) == 0) execv(arguments[0], arguments.data());
      _exit(127);
    }
    int status = -1;
    rusage usage{};
    wait4(child, &status, 0, &usage);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return int64_t{usage.ru_maxrss} * 1024;
  }

  static inline std::filesystem::path dir_;
};

inline std::vector<std::string> Keys(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  return keys;
}

}  // namespace kinetok
