// Training on several threads: the same bits, and (under ThreadSanitizer) no race.
#include <gtest/gtest.h>

#include <algorithm>

#include "kinetok/model/test_models.h"
#include "kinetok/model/training_pass.h"

namespace kinetok {
namespace {

std::vector<NamedConfig> AllConfigs() {
  std::vector<NamedConfig> all = TestConfigs();
  for (NamedConfig& wide : WideConfigs()) all.push_back(std::move(wide));
  all.push_back(TestVisionModel());
  return all;
}

class TrainingThreadsTest : public ::testing::TestWithParam<int> {
 protected:
  TrainingThreadsTest() : config_(AllConfigs()[GetParam()].config) {}
  ModelConfig config_;
};

TEST_P(TrainingThreadsTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const double dropout : {0.0, 0.2}) {
    config_.embd_pdrop = config_.attn_pdrop = config_.resid_pdrop = dropout;
    const ParameterList list(config_);
    const std::vector<float> flat = DrawParameters(list, 6);
    const RaggedBatch batch(config_, {65, 130, 7, 100}, 40);
    TrainingPassOptions options = TestPassOptions(config_);
    options.recompute = dropout > 0;
    PassResult want;
    for (int threads = 1; threads <= 4; ++threads) {
      Context context(threads, BestIsa());
      TrainingPass pass(config_, list, options);
      context.pool().ResetWorkersUsed();
      const PassResult got = RunTrainingStep(context, pass, list, flat, {batch});
      if (threads == 1) want = got;
      EXPECT_TRUE(SameBits(got, want)) << threads << " threads, dropout " << dropout;
      // A second step with the same pass, until a second worker was awake for it: on a busy machine the first may be
      // over before.
      int steps = 1;
      for (; steps < 2 || (steps < 1000 && context.pool().WorkersUsed() < std::min(threads, 2)); ++steps) {
        ASSERT_TRUE(SameBits(RunTrainingStep(context, pass, list, flat, {batch}), want)) << threads << " threads";
      }
      EXPECT_GE(context.pool().WorkersUsed(), std::min(threads, 2)) << steps << " steps";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, TrainingThreadsTest, ::testing::Range(0, static_cast<int>(AllConfigs().size())),
                         [](const auto& param) { return AllConfigs()[param.param].name; });

}  // namespace
}  // namespace kinetok
