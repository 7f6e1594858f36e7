// A training process killed with SIGKILL at random moments, again and again, ends with the bits of an undisturbed one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>

#include "kinetok/base/random.h"
#include "kinetok/train/trainer_test_run.h"

namespace kinetok {
namespace {

// Calls fn in a child of its own; the parent has no threads at that moment. Returns the child's id.
template <class F>
pid_t InChild(F&& fn) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 1;
    try {
      fn();
      status = 0;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    _exit(status);
  }
  return child;
}

pid_t TrainInChild(const TinyRun& run, const std::filesystem::path& dir, int threads) {
  return InChild([&] { run.Run(dir, threads); });
}

int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

bool Succeeded(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<std::string> Leftovers(const std::filesystem::path& dir) {
  std::vector<std::string> found;
  if (!std::filesystem::exists(dir)) return found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (entry.path().string().find(".tmp") != std::string::npos) found.push_back(entry.path());
  }
  return found;
}

TEST(KillTest, AKilledRunResumesToTheBitsOfAnUndisturbedOneWithAnyNumberOfThreads) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().save_every = 1;  // most of the time goes into checkpoints
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(Succeeded(WaitFor(TrainInChild(run, folder / "whole", /*threads=*/2))));
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);

  int kills = 0;
  bool complete = false;
  for (uint64_t i = 0; !complete && i < 40; ++i) {
    const pid_t child = TrainInChild(run, folder / "killed", 1 + static_cast<int>(i % 3));
    const Philox4 bits = RandomBits(3, RandomStream::kTest, 0, i);
    // Between at once and a third of a whole run, the first at once: it is never complete.
    const auto wait = i == 0 ? 0 : UniformBelow(bits, static_cast<uint64_t>(taken.count()) / 3 + 1);
    usleep(static_cast<useconds_t>(wait));
    kill(child, SIGKILL);
    const int status = WaitFor(child);
    complete = WIFEXITED(status);
    ASSERT_TRUE(!complete || WEXITSTATUS(status) == 0);
    kills += WIFSIGNALED(status) ? 1 : 0;
  }
  EXPECT_GE(kills, 1);
  ASSERT_TRUE(Succeeded(WaitFor(TrainInChild(run, folder / "killed", /*threads=*/3))));

  EXPECT_EQ(State(folder / "killed"), State(folder / "whole"));
  EXPECT_EQ(Weights(folder / "killed"), Weights(folder / "whole"));
  EXPECT_EQ(LogLines(folder / "killed"), LogLines(folder / "whole"));
  EXPECT_THAT(Leftovers(folder / "killed"), ::testing::IsEmpty());
}

TEST(KillTest, ARunKilledWhileTokenisingCompletesWithTheSameBits) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  const std::string piece = ReadFile(folder / "text.txt");
  std::string text;
  while (text.size() < (8 << 20)) text += piece;  // a second or so of work
  const std::filesystem::path file = folder.Write("long.txt", text);
  const auto train = [&](const std::filesystem::path& dir, int threads) {
    TinyRun copy(folder);
    {
      const RunDirectory directory(dir, /*restart=*/false);  // removes what a killed process left
      std::filesystem::create_directories(dir / "data");
      TokeniseOptions options;
      options.chunk_bytes = 1 << 16;
      const auto tokens = TokeniseFiles({file}, *copy.job().tokenizer, options, dir / "data/train.tokens");
      copy.split() = {{tokens, 0, 5000}, {tokens, tokens->size() - 200, 200}};
    }
    copy.Run(dir, threads);
  };
  ASSERT_TRUE(Succeeded(WaitFor(InChild([&] { train(folder / "whole", 2); }))));

  const pid_t child = InChild([&] { train(folder / "killed", 1); });
  const auto is_tokenising = [&] {
    for (const std::string& name : Leftovers(folder / "killed")) {
      std::error_code error;
      if (std::filesystem::file_size(name, error) > 1000 && !error) return true;
    }
    return false;
  };
  for (int i = 0; i < 600000 && !is_tokenising(); ++i) usleep(100);
  kill(child, SIGKILL);
  ASSERT_TRUE(WIFSIGNALED(WaitFor(child)));
  EXPECT_FALSE(std::filesystem::exists(folder / "killed/data/train.tokens"));
  EXPECT_THAT(Leftovers(folder / "killed"), ::testing::SizeIs(1));

  ASSERT_TRUE(Succeeded(WaitFor(InChild([&] { train(folder / "killed", 3); }))));
  EXPECT_EQ(State(folder / "killed"), State(folder / "whole"));
  EXPECT_EQ(Weights(folder / "killed"), Weights(folder / "whole"));
  EXPECT_EQ(ReadFile(folder / "killed/data/train.tokens"), ReadFile(folder / "whole/data/train.tokens"));
  EXPECT_THAT(Leftovers(folder / "killed"), ::testing::IsEmpty());
}

}  // namespace
}  // namespace kinetok
