// A training process killed with SIGKILL at random moments, again and again, ends with the bits of an undisturbed one.
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

// Trains in a child of its own; the parent has no threads at that moment. Returns the child's id.
pid_t TrainInChild(const TinyRun& run, const std::filesystem::path& dir) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 1;
    try {
      run.Run(dir);
      status = 0;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    _exit(status);
  }
  return child;
}

int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

TEST(KillTest, AKilledRunResumesToTheBitsOfAnUndisturbedOne) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().save_every = 1;  // most of the time goes into checkpoints
  const auto start = std::chrono::steady_clock::now();
  const int whole = WaitFor(TrainInChild(run, folder / "whole"));
  ASSERT_TRUE(WIFEXITED(whole) && WEXITSTATUS(whole) == 0);
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);

  int kills = 0;
  bool complete = false;
  for (uint64_t i = 0; !complete && i < 40; ++i) {
    const pid_t child = TrainInChild(run, folder / "killed");
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
  const int last = WaitFor(TrainInChild(run, folder / "killed"));
  ASSERT_TRUE(WIFEXITED(last) && WEXITSTATUS(last) == 0);

  EXPECT_EQ(State(folder / "killed"), State(folder / "whole"));
  EXPECT_EQ(Weights(folder / "killed"), Weights(folder / "whole"));
  EXPECT_EQ(LogLines(folder / "killed"), LogLines(folder / "whole"));
  for (const auto& entry : std::filesystem::directory_iterator(folder / "killed")) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace kinetok
