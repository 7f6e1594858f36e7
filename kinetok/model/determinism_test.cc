// The house's signature: the raw bits of a sequence's logits depend on its tokens and the model alone.
#include <gtest/gtest.h>

#include <bit>

#include "kinetok/base/error.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

using Logits = std::vector<float>;  // [positions, vocab]

// Runs `prompts` side by side, `chunk` tokens of each a call, and returns every position's logits.
std::vector<Logits> RunPrompts(Context& context, const Model& model, const std::vector<std::vector<int32_t>>& prompts,
                               size_t chunk) {
  KvCache cache(model.config());
  Workspace workspace;
  std::vector<int> ids;
  for (size_t i = 0; i < prompts.size(); ++i) ids.push_back(cache.NewSequence());
  std::vector<Logits> out(prompts.size());
  std::vector<size_t> done(prompts.size());
  for (bool more = true; more;) {
    more = false;
    std::vector<BatchRow> rows;
    std::vector<size_t> owner;
    for (size_t i = 0; i < prompts.size(); ++i) {
      for (size_t n = 0; n < chunk && done[i] < prompts[i].size(); ++n) {
        rows.push_back({prompts[i][done[i]++], ids[i], true});
        owner.push_back(i);
        more = true;
      }
    }
    if (!more) break;
    const Rows<const float> logits = model.Forward(context, rows, cache, workspace);
    for (size_t r = 0; r < owner.size(); ++r) {
      out[owner[r]].insert(out[owner[r]].end(), logits[static_cast<int64_t>(r)],
                           logits[static_cast<int64_t>(r)] + logits.width);
    }
  }
  return out;
}

::testing::AssertionResult SameLogits(const Logits& a, const Logits& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " against " << b.size() << " logits";
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) {
      return ::testing::AssertionFailure() << "logit " << i << ": " << a[i] << " against " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

class DeterminismTest : public ::testing::TestWithParam<int> {
 protected:
  DeterminismTest() : named_(AllTestConfigs()[GetParam()]), list_(named_.config), flat_(DrawParameters(list_, 5)) {}
  std::shared_ptr<const Model> Make(Context& c, DType dtype = DType::kF32) {
    return Model::FromParameters(c, named_.config, flat_, dtype, nullptr);
  }
  // Sizes of pieces, of which an encoder takes none but the whole.
  std::vector<size_t> Chunks(std::vector<size_t> chunks) {
    return named_.config.IsCausal() ? std::move(chunks) : std::vector<size_t>{1000};
  }
  std::vector<int32_t> Prompt(int64_t n, uint64_t seed = 1) { return DrawTokens(n, named_.config.vocab_size, seed); }

  NamedConfig named_;
  ParameterList list_;
  std::vector<float> flat_;
};
class CausalDeterminismTest : public DeterminismTest {};

TEST_P(DeterminismTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    Context one(1, BestIsa());
    const auto want = RunPrompts(one, *Make(one, dtype), {Prompt(150)}, 150);
    for (int threads = 2; threads <= 4; ++threads) {
      Context many(threads, BestIsa());
      const auto model = Make(many, dtype);
      for (const size_t chunk : Chunks({150, 1})) {
        const auto run = [&] { return RunPrompts(many, *model, {Prompt(150)}, chunk); };
        many.pool().ResetWorkersUsed();
        EXPECT_TRUE(SameLogits(run()[0], want[0])) << threads << " threads, " << DTypeName(dtype) << ", " << chunk;
        // A run may be over before a second worker wakes on a busy machine; not all of many.
        for (int again = 0; again < 1000 && many.pool().WorkersUsed() < 2; ++again) run();
        EXPECT_GE(many.pool().WorkersUsed(), 2) << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

TEST_P(CausalDeterminismTest, APromptInOneGoInPiecesOrTokenByTokenGivesTheSameBits) {
  Context context(2, BestIsa());
  const auto model = Make(context);
  const auto whole = RunPrompts(context, *model, {Prompt(140)}, 140);
  for (const size_t chunk : {1, 7, 64, 65}) {
    EXPECT_TRUE(SameLogits(RunPrompts(context, *model, {Prompt(140)}, chunk)[0], whole[0])) << "chunks of " << chunk;
  }
}

TEST_P(CausalDeterminismTest, CachedAndRecomputedLogitsAreTheSameBits) {
  Context context(2, BestIsa());
  const auto model = Make(context);
  const std::vector<int32_t> prompt = Prompt(70);
  const auto cached = RunPrompts(context, *model, {prompt}, 1);
  const int64_t vocab = named_.config.vocab_size;
  for (const size_t n : {1, 2, 63, 64, 65, 70}) {
    const auto fresh = RunPrompts(context, *model, {{prompt.begin(), prompt.begin() + static_cast<long>(n)}}, n);
    const Logits last(fresh[0].end() - vocab, fresh[0].end());
    const auto at = cached[0].begin() + static_cast<long>(n - 1) * vocab;
    EXPECT_TRUE(SameLogits(last, Logits(at, at + vocab))) << n << " tokens";
  }
}

TEST_P(DeterminismTest, ASequenceAloneAndInBatchesOfMixedLengthsGivesTheSameBits) {
  const int64_t lengths[] = {90, 3, 65, 129, 1, 64, 33, 70};
  Context context(3, BestIsa());
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto model = Make(context, dtype);
    std::vector<std::vector<int32_t>> prompts;
    std::vector<Logits> alone;
    for (const int64_t n : lengths) {
      prompts.push_back(Prompt(n, 10 + prompts.size()));
      alone.push_back(RunPrompts(context, *model, {prompts.back()}, n)[0]);
    }
    for (size_t batch = 2; batch <= 8; ++batch) {
      for (const size_t chunk :
           Chunks({1, 33})) {  // 1: steps of at most 8 rows, as when sequences are decoded together
        const auto together = RunPrompts(context, *model, {prompts.begin(), prompts.begin() + batch}, chunk);
        for (size_t i = 0; i < batch; ++i) {
          EXPECT_TRUE(SameLogits(together[i], alone[i]))
              << "sequence " << i << " of " << batch << ", chunks of " << chunk << ", " << DTypeName(dtype);
        }
      }
    }
  }
}

TEST_P(DeterminismTest, EveryInstructionSetGivesTheSameBits) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    Context best(2, BestIsa());
    const auto want = RunPrompts(best, *Make(best, dtype), {Prompt(70), Prompt(9, 2)}, Chunks({40})[0]);
    for (const Isa isa : SupportedIsas()) {
      Context context(2, isa);
      const auto got = RunPrompts(context, *Make(context, dtype), {Prompt(70), Prompt(9, 2)}, Chunks({40})[0]);
      EXPECT_TRUE(SameLogits(got[0], want[0])) << IsaName(isa);
      EXPECT_TRUE(SameLogits(got[1], want[1])) << IsaName(isa);
    }
  }
}

TEST_P(CausalDeterminismTest, ForkedAndTruncatedSequencesContinueWithTheSameBits) {
  Context context(2, BestIsa());
  const auto model = Make(context);
  const std::vector<int32_t> prompt = Prompt(100);
  const auto want = RunPrompts(context, *model, {prompt}, 100);
  KvCache cache(model->config());
  Workspace workspace;
  const int a = cache.NewSequence();
  std::vector<BatchRow> rows;
  rows.reserve(90);
  for (int i = 0; i < 90; ++i) rows.push_back({prompt[i], a, false});
  model->Forward(context, rows, cache, workspace);
  const int b = cache.Fork(a);
  // a goes elsewhere; b steps back and continues as if nothing had happened.
  model->Forward(context, std::vector<BatchRow>(30, BatchRow{1, a, false}), cache, workspace);
  cache.Truncate(b, 80);
  rows.clear();
  for (int i = 80; i < 100; ++i) rows.push_back({prompt[i], b, true});
  const Rows<const float> logits = model->Forward(context, rows, cache, workspace);
  const Logits got(logits.data, logits.data + 20 * logits.width);
  EXPECT_TRUE(SameLogits(got, Logits(want[0].begin() + 80 * logits.width, want[0].end())));
}

TEST_P(DeterminismTest, AFaultyRowIsRefusedAndNothingIsAppended) {
  Context context(1, BestIsa());
  const auto model = Make(context);
  KvCache cache(model->config());
  Workspace workspace;
  const int a = cache.NewSequence();
  const std::vector<BatchRow> faulty = {{0, a, true}, {static_cast<int32_t>(named_.config.vocab_size), a, true}};
  EXPECT_THROW(model->Forward(context, faulty, cache, workspace), Error);
  const std::vector<BatchRow> too_long(named_.config.max_position_embeddings + 1, BatchRow{0, a, false});
  EXPECT_THROW(model->Forward(context, too_long, cache, workspace), Error);
  EXPECT_EQ(cache.length(a), 0);
  EXPECT_EQ(cache.pages_in_use(), 0);
}

TEST(EncoderTest, RefusesATextInPieces) {
  Context context(1, BestIsa());
  const ModelConfig config = TestEncoder().config;
  const auto model = Model::Random(context, config, 1, DType::kF32);
  KvCache cache(config);
  Workspace workspace;
  const int a = cache.NewSequence();
  model->Forward(context, std::vector<BatchRow>{{1, a, true}, {2, a, true}}, cache, workspace);
  EXPECT_THROW(model->Forward(context, std::vector<BatchRow>{{3, a, true}}, cache, workspace), Error);
  EXPECT_EQ(cache.length(a), 2);
}

INSTANTIATE_TEST_SUITE_P(Configs, DeterminismTest, ::testing::Range(0, 7),
                         [](const auto& param) { return AllTestConfigs()[param.param].name; });
INSTANTIATE_TEST_SUITE_P(Configs, CausalDeterminismTest, ::testing::Range(0, 6),
                         [](const auto& param) { return AllTestConfigs()[param.param].name; });

}  // namespace
}  // namespace kinetok
