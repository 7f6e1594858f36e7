// One policy, called by several threads at once.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "kinetok/vla/policy.h"
#include "kinetok/vla/test_policy.h"

namespace kinetok {
namespace {

class PolicyThreadsTest : public ::testing::Test, protected TestPolicy {};

TEST_F(PolicyThreadsTest, CallsAtOnceGiveWhatTheyGiveAlone) {
  Policy policy(dir, {.threads = 2, .isa = "auto"});
  const std::vector<std::string> words = {"reach", "push the red block", "컵을 잡아", "put it back"};
  const auto act = [&](const std::string& instruction) { return policy.Act(View(), instruction).values; };
  const auto answer = [&](const std::string& prompt) {
    return policy.Answer(View(), prompt, {.sampler = {.temperature = 1, .seed = 3}, .max_new_tokens = 6}).tokens;
  };
  std::vector<std::vector<double>> actions;
  std::vector<std::vector<int32_t>> answers;
  for (const std::string& w : words) {
    actions.push_back(act(w));
    answers.push_back(answer(w));
  }
  EXPECT_NE(actions[0], actions[1]);
  EXPECT_NE(answers[0], answers[1]);

  std::vector<std::thread> threads;
  for (size_t t = 0; t < words.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t call = 0; call < 2 * words.size(); ++call) {
        const size_t i = (t + call) % words.size();
        EXPECT_NO_THROW(policy.CheckRequest(View(), words[i], ""));
        if ((t + call / words.size()) % 2 == 0) {
          EXPECT_EQ(act(words[i]), actions[i]);
        } else {
          EXPECT_EQ(answer(words[i]), answers[i]);
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace kinetok
