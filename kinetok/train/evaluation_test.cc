// What a run measures on the examples that are held out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kinetok/model/model.h"
#include "kinetok/train/trainer_test_run.h"

namespace kinetok {
namespace {

// Calls `block` with the tokens of each block of the validation data, in order, and the logits of all but the last.
template <typename Block>
void ForEachBlock(Context& context, TinyRun& run, const Model& model, Block&& block) {
  const TokenRange& data = run.split().validation;
  for (int64_t first = 0; first + 1 < data.size; first += run.train().block_size) {
    const int64_t length = std::min(run.train().block_size, data.size - 1 - first);
    std::vector<int32_t> ids(static_cast<size_t>(length) + 1);
    data.Read(first, ids);
    KvCache cache(run.job().model);
    const int sequence = cache.NewSequence();
    std::vector<BatchRow> rows;
    for (int64_t i = 0; i < length; ++i) rows.push_back({ids[i], sequence, true});
    Workspace workspace;
    block(ids, model.Forward(context, rows, cache, workspace));
  }
}

TEST(EvaluationTest, TheValidationLossIsTheMeanOverConsecutiveBlocks) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  Context context(1, BestIsa());
  RunDirectory directory(folder / "out", false);
  Trainer trainer(context, directory, run.Job());
  const TokenRange& data = run.split().validation;
  ASSERT_NE((data.size - 1) % run.train().block_size, 0);  // the last block is shorter
  const auto model = Model::FromParameters(context, run.job().model, trainer.weights(), DType::kF32, nullptr);
  double sum = 0;
  ForEachBlock(context, run, *model, [&](const std::vector<int32_t>& ids, const Rows<const float>& logits) {
    for (int64_t i = 0; i < logits.rows; ++i) {
      double total = 0;
      for (int64_t c = 0; c < logits.width; ++c) total += std::exp(static_cast<double>(logits[i][c]));
      sum += std::log(total) - static_cast<double>(logits[i][ids[i + 1]]);
    }
  });
  EXPECT_NEAR(trainer.Evaluate().loss, sum / static_cast<double>(data.size - 1), 1e-5);
}

// The last ids of the characters stand for actions of five edges; what is expected is worked out from the logits.
TEST(EvaluationTest, TheScoreOfActionsIsOfTheirPositionsInTheirOrder) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  const auto vocab = static_cast<int32_t>(run.job().model.vocab_size);
  run.job().actions.emplace(vocab, 5);
  run.job().varying_actions = {true, false, true};
  Context context(1, BestIsa());
  RunDirectory directory(folder / "out", false);
  Trainer trainer(context, directory, run.Job());
  const auto model = Model::FromParameters(context, run.job().model, trainer.weights(), DType::kF32, nullptr);
  double count = 0, right = 0, varying = 0, varying_right = 0, distance = 0;
  ForEachBlock(context, run, *model, [&](const std::vector<int32_t>& ids, const Rows<const float>& logits) {
    int dimension = 0;
    for (int64_t i = 0; i < logits.rows; ++i) {
      const int32_t label = ids[i + 1];
      if (label < vocab - 5) continue;
      const auto token = static_cast<int32_t>(std::max_element(logits[i], logits[i] + logits.width) - logits[i]);
      const auto bin = [&](int32_t id) { return std::clamp(vocab - 1 - id, 0, 3); };
      const bool varies = dimension++ != 1;
      count += 1;
      right += token == label ? 1 : 0;
      varying += varies ? 1 : 0;
      varying_right += varies && token == label ? 1 : 0;
      distance += 0.5 * std::abs(bin(token) - bin(label));
    }
  });
  ASSERT_GT(count, 30);
  ASSERT_LT(varying, count);
  const EvaluationResult result = trainer.Evaluate();
  EXPECT_DOUBLE_EQ(result.action_token_accuracy.value(), right / count);
  EXPECT_DOUBLE_EQ(result.varying_token_accuracy.value(), varying_right / varying);
  EXPECT_NEAR(result.action_l1.value(), distance / count, 1e-12);
  EXPECT_GT(result.action_l1.value(), 0.1);  // of random weights: a distance that is never counted would be 0
}

// Tells which of its held-out examples are read.
class Watched : public ExampleSource {
 public:
  Watched(std::shared_ptr<const ExampleSource> source, std::vector<int64_t>* seen)
      : source_(std::move(source)), seen_(seen) {}
  Example Draw(uint64_t seed, uint64_t index) const override { return source_->Draw(seed, index); }
  int64_t examples() const override { return source_->examples(); }
  int64_t held_out() const override { return source_->held_out(); }
  Example HeldOut(int64_t index) const override {
    seen_->push_back(index);
    return source_->HeldOut(index);
  }
  int64_t max_length() const override { return source_->max_length(); }
  bool has_images() const override { return false; }
  void Check(int64_t vocab_size) const override { source_->Check(vocab_size); }
  std::string Summary() const override { return source_->Summary(); }
  OrderedJson Describe() const override { return source_->Describe(); }
  OrderedJson DescribeHeldOut() const override { return source_->DescribeHeldOut(); }

 private:
  std::shared_ptr<const ExampleSource> source_;
  std::vector<int64_t>* seen_;
};

TEST(EvaluationTest, AFewBatchesOfAnEvaluationLieEvenlyAmongTheHeldOutExamples) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().batch_size = 2;
  const auto seen = [&](int64_t batches) {
    run.train().eval_batches = batches;
    std::vector<int64_t> indices;
    TrainingJob job = run.Job();
    job.data = {std::make_shared<Watched>(job.data[0].source, &indices)};
    Context context(1, BestIsa());
    RunDirectory directory(folder / "out", true);
    Trainer trainer(context, directory, job);
    const double loss = trainer.Evaluate().loss;
    EXPECT_EQ(trainer.Evaluate().loss, loss);
    indices.resize(indices.size() / 2);
    return indices;
  };
  const std::vector<int64_t> all = seen(0);
  const auto n = static_cast<int64_t>(all.size());
  ASSERT_EQ(n, 7);
  for (int64_t i = 0; i < n; ++i) EXPECT_EQ(all[i], i);
  EXPECT_EQ(seen(1), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(seen(2), (std::vector<int64_t>{0, 1, 3, 5}));
  EXPECT_EQ(seen(100), all);
}

}  // namespace
}  // namespace kinetok
