#include "kinetok/decode/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/math.h"
#include "kinetok/model/test_models.h"
#include "kinetok/text/tokenizer_builder.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// [PAD] [UNK] [CLS] [SEP] [MASK], a few words and the letters that others are made of.
std::shared_ptr<const Tokenizer> Words() {
  WordPieceVocabulary v;
  v.pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sleeps", "sees", "a", "dog", "."};
  return MakeWordPieceTokenizer(v, "words");
}

class EncoderTest : public ::testing::Test {
 protected:
  EncoderTest()
      : config_(TestEncoder().config), dir_(fs::temp_directory_path() / fmt::format("kinetok_encoder_{}", getpid())) {
    fs::create_directories(dir_ / "1_Pooling");
  }
  ~EncoderTest() override { fs::remove_all(dir_); }

  std::shared_ptr<const Model> Make(std::shared_ptr<const Tokenizer> tokenizer = Words()) {
    return Model::FromParameters(context_, config_, DrawParameters(ParameterList(config_), 4), DType::kF32,
                                 std::move(tokenizer));
  }
  std::vector<BatchRow> Rows(const std::vector<int32_t>& ids, int sequence) {
    std::vector<BatchRow> rows;
    for (const int32_t id : ids) rows.push_back({id, sequence, true});
    return rows;
  }
  template <class F>
  std::string ErrorOf(F f) {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }

  ModelConfig config_;
  fs::path dir_;
  Context context_{2, BestIsa()};
};

TEST_F(EncoderTest, EveryMaskIsFilledFromTheLogitsAtItsPlace) {
  const auto model = Make();
  const std::vector<FilledMask> masks = FillMask(context_, *model, "The [MASK] sees a [MASK].", 7);
  ASSERT_EQ(masks.size(), 2);
  EXPECT_EQ(masks[0].position, 2);  // after [CLS] the
  EXPECT_EQ(masks[1].position, 5);
  KvCache cache(config_);
  Workspace workspace;
  const auto rows = Rows({2, 5, 4, 8, 9, 4, 11, 3}, cache.NewSequence());
  const auto logits = model->Forward(context_, rows, cache, workspace);
  for (const FilledMask& m : masks) {
    const float* row = logits[m.position];
    ASSERT_EQ(m.predictions.size(), 7);
    double sum = 0;
    for (int64_t i = 0; i < config_.vocab_size; ++i) sum += std::exp(static_cast<double>(row[i]));
    std::vector<float> sorted(row, row + config_.vocab_size);
    std::sort(sorted.rbegin(), sorted.rend());
    for (size_t i = 0; i < 7; ++i) {
      EXPECT_EQ(row[m.predictions[i].token], sorted[i]);
      EXPECT_NEAR(m.predictions[i].probability, std::exp(static_cast<double>(sorted[i])) / sum, 1e-12);
    }
  }
}

TEST_F(EncoderTest, AVectorIsTheMeanOfTheLastLayerAndDependsOnItsTextAlone) {
  const auto model = Make();
  const std::vector<std::string> texts = {"the cat sleeps.", "a dog", "the dog sees a cat. the cat sees a dog."};
  const auto vectors = EmbedTexts(context_, *model, texts);
  KvCache cache(config_);
  Workspace workspace;
  const auto hidden = model->Hidden(context_, Rows({2, 5, 6, 7, 11, 3}, cache.NewSequence()), cache, workspace);
  ASSERT_EQ(vectors[0].size(), config_.hidden_size);
  for (int64_t c = 0; c < config_.hidden_size; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < 6; ++i) sum += hidden[i][c];
    EXPECT_FLOAT_EQ(vectors[0][c], static_cast<float>(sum / 6));
  }
  const auto first =
      EmbedTexts(context_, *model, texts, {.pooling = Pooling::kCls, .normalize = true, .max_tokens = {}});
  double squares = 0;
  for (const float v : first[0]) squares += static_cast<double>(v) * v;
  EXPECT_NEAR(squares, 1, 1e-6);
  EXPECT_NEAR(first[0][0] / first[0][1], hidden[0][0] / hidden[0][1], 1e-4);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(EmbedTexts(context_, *model, std::span(texts).subspan(i, 1))[0], vectors[i]) << texts[i];
  }
}

TEST_F(EncoderTest, TheCosineOfVectorsComparesTheirDirections) {
  const std::vector<float> a = {3, 4}, b = {4, 3}, opposite = {-6, -8}, zero = {0, 0};
  EXPECT_DOUBLE_EQ(CosineSimilarity(a, a), 1);
  EXPECT_DOUBLE_EQ(CosineSimilarity(a, b), 0.96);
  EXPECT_DOUBLE_EQ(CosineSimilarity(a, opposite), -1);
  EXPECT_EQ(CosineSimilarity(a, zero), 0);
}

TEST_F(EncoderTest, ATextThatIsTooLongIsCutOnlyWhenTheModelSaysSo) {
  const auto model = Make();
  const std::vector<std::string> texts = {"the cat sees a dog.", "the cat"};
  const auto cut =
      EmbedTexts(context_, *model, texts, {.pooling = Pooling::kMean, .normalize = false, .max_tokens = 4});
  EXPECT_EQ(cut[0], cut[1]);  // [CLS] the cat [SEP]
  std::string longer;
  for (int i = 0; i < 300; ++i) longer += "cat ";
  EXPECT_THAT(ErrorOf([&] { EmbedTexts(context_, *model, std::vector<std::string>{longer}); }),
              HasSubstr("302 tokens, the model's context holds 200"));
}

TEST_F(EncoderTest, SaysWhatIsMissing) {
  EXPECT_THAT(ErrorOf([&] { FillMask(context_, *Make(), "the cat"); }), HasSubstr("holds no [MASK]"));
  EXPECT_THAT(ErrorOf([&] { FillMask(context_, *Make(nullptr), "the [MASK]"); }), HasSubstr("no tokenizer"));
  config_.head = Head::kNone;
  const auto headless = Make();
  EXPECT_THAT(ErrorOf([&] { FillMask(context_, *headless, "the [MASK]"); }), HasSubstr("masked-word head"));
  EXPECT_EQ(EmbedTexts(context_, *headless, std::vector<std::string>{"a cat"}).size(), 1);
  KvCache cache(config_);
  Workspace workspace;
  const auto rows = Rows({2, 5}, cache.NewSequence());
  EXPECT_THAT(ErrorOf([&] { headless->Forward(context_, rows, cache, workspace); }), HasSubstr("has no head"));
}

TEST_F(EncoderTest, ReadsHowSentenceTransformersPools) {
  const auto write = [&](const char* name, const std::string& text) { WriteFileAtomically(dir_ / name, text); };
  EXPECT_EQ(EmbedOptions::Load(dir_).pooling, Pooling::kMean);
  write("modules.json", R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
      {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
      {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}])");
  write("sentence_bert_config.json", R"({"max_seq_length": 128})");
  write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  const EmbedOptions options = EmbedOptions::Load(dir_);
  EXPECT_EQ(options.pooling, Pooling::kCls);
  EXPECT_TRUE(options.normalize);
  EXPECT_EQ(options.max_tokens, 128);
  write("1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  EXPECT_THAT(ErrorOf([&] { EmbedOptions::Load(dir_); }), HasSubstr("pooling_mode_max_tokens"));
  write("modules.json", R"([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])");
  EXPECT_THAT(ErrorOf([&] { EmbedOptions::Load(dir_); }), HasSubstr("Dense"));
  write("modules.json", R"([{"type": "sentence_transformers.models.Pooling", "path": "../x"}])");
  EXPECT_THAT(ErrorOf([&] { EmbedOptions::Load(dir_); }), HasSubstr("inside the model's"));
}

}  // namespace
}  // namespace kinetok
