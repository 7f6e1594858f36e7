// What the program measures of a policy.

#include "kinetok/vla/test_policy.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CliVlaTest : public CliTest, protected TestPolicy {
 protected:
  std::string Bench(const std::string& more) const {
    return fmt::format("bench --vla --model '{}' {}", dir.string(), more);
  }
};

TEST_F(CliVlaTest, BenchTellsHowLongAnActionTakesAndWhere) {
  const Json json = RunJson(Bench("--calls 21 --json"));
  EXPECT_THAT(Keys(json), ElementsAre("isa", "threads", "vla"));
  const Json& vla = json["vla"];
  EXPECT_THAT(Keys(vla),
              ElementsAre("action_ms", "actions_fingerprint", "actions_per_s", "calls", "parts_ms", "shares"));
  EXPECT_EQ(vla["calls"], 21);
  const double p50 = vla["action_ms"]["p50"], p99 = vla["action_ms"]["p99"], max = vla["action_ms"]["max"];
  EXPECT_GT(p50, 0);
  EXPECT_LE(p50, p99);
  EXPECT_LE(p99, max);
  EXPECT_GT(vla["actions_per_s"], 0);
  double shares = 0;
  for (const char* part : {"decode", "image", "prefill", "vision"}) {
    EXPECT_GT(vla["parts_ms"][part], 0) << part;
    EXPECT_LE(vla["parts_ms"][part], max) << part;
    EXPECT_GT(vla["shares"][part], 0) << part;
    shares += vla["shares"][part].get<double>();
  }
  EXPECT_GT(shares, 0.5);
  EXPECT_LE(shares, 1);
}

TEST_F(CliVlaTest, TheActionsOfABenchAreTheSameOnAnyNumberOfThreads) {
  const auto fingerprint = [&](const char* flags) {
    return RunJson(Bench(flags))["vla"]["actions_fingerprint"].get<std::string>();
  };
  const std::string one = fingerprint("--calls 3 --threads 1 --json");
  EXPECT_EQ(one.size(), 64u);
  EXPECT_EQ(fingerprint("--calls 3 --threads 2 --json"), one);
  EXPECT_NE(fingerprint("--calls 2 --threads 1 --json"), one);
}

TEST_F(CliVlaTest, BenchPrintsATableForPeople) {
  const Result r = Run(Bench("--calls 2 --threads 1"));
  EXPECT_EQ(r.status, 0) << r.err;
  for (const char* part : {"2 calls, 1 threads", "median ms", "\nimage ", "\nvision ", "\nprefill ", "\ndecode ",
                           "\naction  p50 ", " actions/s\n"}) {
    EXPECT_THAT(r.out, HasSubstr(part));
  }
}

TEST_F(CliVlaTest, WhatCannotBeMeasuredIsSaid) {
  ExpectError("bench --vla", 2, "no model");
  ExpectError("bench --vla --preset tiny", 2, "--preset");
  ExpectError(Bench("--calls 0"), 2, "--calls");
  ExpectError("bench --vla --model model", 1, "model");
}

}  // namespace
}  // namespace kinetok
