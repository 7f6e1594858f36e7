// Beam search beside transformers' generate(num_beams=...): tests/golden/beams.json, written by
// tools/golden/make_decoding_golden.py.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "kinetok/decode/generate.h"
#include "kinetok/model/golden_models.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const Json& Golden() {
  static const Json golden = ReadGolden("beams.json");
  return golden;
}

GenerateOptions OptionsOf(const Json& json) {
  GenerateOptions o{.sampler = {.repetition_penalty = json.value("repetition_penalty", 1.0),
                                .no_repeat_ngram_size = json.value("no_repeat_ngram_size", int64_t{0}),
                                .bad_words = json.value("bad_words_ids", std::vector<Ids>()),
                                .min_new_tokens = json.value("min_new_tokens", int64_t{0})},
                    .max_new_tokens = json.at("max_new_tokens"),
                    .beams = {.num_beams = json.at("num_beams"), .length_penalty = json.value("length_penalty", 1.0)}};
  for (const Json& pair : json.value("sequence_bias", Json::array())) {
    o.sampler.logit_bias.push_back({pair.at(0).at(0), pair.at(1)});
  }
  const Json stopping = json.value("early_stopping", Json(false));
  o.beams.early_stopping = ParseEarlyStopping(stopping.is_string() ? stopping.get<std::string>() : stopping.dump());
  o.num_return_sequences = o.beams.num_beams;
  return o;
}

class BeamGoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  BeamGoldenTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_beams_{}_{}", getpid(), GetParam())) {
    Json checkpoint = Golden().at("models").at(Case().at("model").get<std::string>());
    const Json& eos = Case().at("eos");
    checkpoint.at("config")["eos_token_id"] = eos.empty() ? Json() : eos;
    WriteGoldenCheckpoint(checkpoint, dir_);
  }
  ~BeamGoldenTest() override { fs::remove_all(dir_); }
  static const Json& Case() { return Golden().at("cases").at(GetParam()); }

  fs::path dir_;
};

TEST_P(BeamGoldenTest, FindsTheTextsOfTransformersWithTheirScores) {
  Context context(2, BestIsa());
  const auto model = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
  const std::vector<Ids> prompts = Case().at("prompts");
  const std::vector<Generation> results = GenerateBatch(context, model, prompts, OptionsOf(Case().at("options")));
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Json& expected = Case().at("results").at(i);
    ASSERT_EQ(results[i].runners_up.size() + 1, expected.size());
    for (size_t rank = 0; rank < expected.size(); ++rank) {
      const Generation& got = rank == 0 ? results[i] : results[i].runners_up[rank - 1];
      const Json& e = expected.at(rank);
      EXPECT_EQ(got.tokens, e.at("tokens").get<Ids>()) << "prompt " << i << ", rank " << rank;
      ASSERT_TRUE(got.score.has_value());
      // Transformers adds in single precision.
      EXPECT_NEAR(*got.score, e.at("score").get<double>(), 2e-6 * std::abs(e.at("score").get<double>()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, BeamGoldenTest, ::testing::Range(size_t{0}, Golden().at("cases").size()),
                         [](const auto& chosen) {
                           const Json& model = Golden().at("cases").at(chosen.param).at("model");
                           return fmt::format("{}_{}", model.get<std::string>(), chosen.param);
                         });

}  // namespace
}  // namespace kinetok
