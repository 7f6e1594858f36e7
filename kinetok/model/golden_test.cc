// Parity with Hugging Face transformers, without Python: tests/golden/parity.json holds configurations, the recipe of
// the weights, and logits and greedy continuations computed in double precision (tools/golden/make_golden.py).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "kinetok/io/npy.h"
#include "kinetok/model/golden_models.h"
#include "kinetok/model/model.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Of the largest logit, at every position. It holds for f16 and bf16 weights as for f32: the reference reads the
// rounded weights, which f32 holds exactly, and activations are f32 in either case. A logit is the end of a chain of
// about 40 sums of at most 256 products; each errs by about sqrt(256) 2^-24 = 1e-6 as signs go, and their mean square
// root sum is within 4e-6 after the norms, which keep errors from growing (measured: 2.1e-6 with GPT-Neo, whose scores
// the reference has in f32, and 1.2e-6 otherwise).
constexpr double kBound = 4e-6;

class GoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  GoldenTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_golden_{}_{}", getpid(), GetParam())) {}
  ~GoldenTest() override { fs::remove_all(dir_); }
  static const Json& Case() { return GoldenCases().at(GetParam()); }

  std::shared_ptr<const Model> Load() {
    return Model::Load(context_, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
  }

  // The largest difference from the reference's logits, over the largest logit.
  double Difference() {
    const auto model = Load();
    KvCache cache(model->config());
    const int sequence = cache.NewSequence();
    std::vector<BatchRow> rows;
    for (const int32_t token : Case().at("tokens")) rows.push_back({token, sequence, true});
    Workspace workspace;
    const Rows<const float> logits = model->Forward(context_, rows, cache, workspace);
    double worst = 0;
    const auto kept = static_cast<int64_t>(Case().at("logits").at(0).size());
    EXPECT_EQ(Case().at("logits").size(), rows.size());
    for (int64_t p = 0; p < logits.rows; ++p) {
      for (int64_t i = 0; i < kept; ++i) {
        const double expected = Case().at("logits").at(p).at(i);
        const double got = logits[p][(i * logits.width / kept + p) % logits.width];
        worst = std::isfinite(got) ? std::max(worst, std::abs(got - expected)) : INFINITY;
      }
    }
    return worst / Case().at("largest").get<double>();
  }

  Context context_{2, BestIsa()};
  fs::path dir_;
};

class GoldenContinuationTest : public GoldenTest {};
class GoldenDetailTest : public GoldenTest {};

// The cases for which `wanted` holds.
template <class Wanted>
std::vector<size_t> CasesThat(Wanted wanted) {
  std::vector<size_t> out;
  for (size_t i = 0; i < GoldenCases().size(); ++i) {
    if (wanted(GoldenCases().at(i))) out.push_back(i);
  }
  return out;
}

TEST_P(GoldenTest, LogitsAreThoseOfTransformers) {
  EXPECT_EQ(WriteGoldenCheckpoint(Case(), dir_), Case().at("sha256")) << "the generators of C++ and Python differ";
  const double difference = Difference();
  RecordProperty("difference", fmt::format("{:.2e}", difference));
  EXPECT_LE(difference, kBound);
}

TEST_P(GoldenContinuationTest, TwoHundredTokensAreChosenAlike) {
  const std::vector<int32_t> expected = Case().at("greedy");
  WriteGoldenCheckpoint(Case(), dir_);
  const auto model = Load();
  std::vector<int32_t> input = Case().at("tokens").get<std::vector<int32_t>>(), got;
  input.resize(Case().at("prompt").get<size_t>());
  KvCache cache(model->config());
  const int sequence = cache.NewSequence();
  Workspace workspace;
  while (got.size() < expected.size()) {
    std::vector<BatchRow> rows;
    for (const int32_t token : input) rows.push_back({token, sequence, false});
    rows.back().want_logits = true;
    const float* logits = model->Forward(context_, rows, cache, workspace)[0];
    got.push_back(static_cast<int32_t>(std::max_element(logits, logits + model->config().vocab_size) - logits));
    input = {got.back()};
  }
  EXPECT_EQ(got, expected);
}

// GPT-1's first release: all values in one row, cut into files, the positions first, described by their shapes.
TEST(Gpt1ReleaseTest, GivesTheBitsOfTheNewerLayout) {
  const auto by_name =
      std::find_if(GoldenCases().begin(), GoldenCases().end(), [](const Json& c) { return c.at("name") == "gpt1"; });
  Json golden = *by_name;
  golden["config"]["n_head"] = 1;  // a head has 64 columns there
  const fs::path dir = fs::temp_directory_path() / fmt::format("kinetok_gpt1_{}", getpid());
  std::map<std::string, std::vector<float>> values;
  WriteGoldenCheckpoint(golden, dir / "new", [&](const std::string& name, std::vector<float>& v) { values[name] = v; });
  std::vector<std::string> order = {"positions_embed.weight", "tokens_embed.weight"};
  for (int l = 0; l < 2; ++l) {
    for (const char* name : {"attn.c_attn", "attn.c_proj", "ln_1", "mlp.c_fc", "mlp.c_proj", "ln_2"}) {
      for (const char* part : {"weight", "bias"}) order.push_back(fmt::format("h.{}.{}.{}", l, name, part));
    }
  }
  std::vector<float> all;
  Json shapes = Json::array();
  for (const std::string& name : order) {
    for (const Json& t : golden.at("tensors")) {
      if (t.at(0) != "transformer." + name) continue;
      Json shape = t.at(1);
      if (shape.size() == 2 && name.starts_with("h.")) shape.insert(shape.begin(), 1);
      shapes.push_back(shape);
    }
    const std::vector<float>& v = values.at("transformer." + name);
    all.insert(all.end(), v.begin(), v.end());
  }
  fs::create_directories(dir / "old");
  WriteFileAtomically(dir / "old/params_shapes.json", shapes.dump());
  const auto half = static_cast<int64_t>(all.size()) / 2;
  WriteNpy(dir / "old/params_0.npy", std::vector<int64_t>{half}, std::span(all).first(half));
  WriteNpy(dir / "old/params_1.npy", std::vector<int64_t>{static_cast<int64_t>(all.size()) - half},
           std::span(all).subspan(half));

  Context context(2, BestIsa());
  std::vector<std::vector<float>> logits;
  for (const char* layout : {"new", "old"}) {
    const auto model = Model::Load(context, dir / layout, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    KvCache cache(model->config());
    const int sequence = cache.NewSequence();
    Workspace workspace;
    std::vector<BatchRow> rows;
    for (const int32_t token : golden.at("tokens")) rows.push_back({token, sequence, true});
    const Rows<const float> l = model->Forward(context, rows, cache, workspace);
    logits.emplace_back(l.data, l.data + l.rows * l.width);
  }
  EXPECT_EQ(logits[0], logits[1]);
  fs::remove_all(dir);
}

// That the bound can see mistakes: each detail of a model, changed, must exceed it.
TEST_P(GoldenDetailTest, EveryDetailMatters) {
  const auto difference_with = [&](const Json& config) {
    Json changed = Case();
    changed["config"].update(config);
    WriteGoldenCheckpoint(changed, dir_);
    return Difference();
  };
  const Json& config = Case().at("config");
  for (const char* key : {"layer_norm_epsilon", "rms_norm_eps", "layer_norm_eps"}) {
    if (!config.contains(key)) continue;
    const double eps = config.at(key);
    EXPECT_GT(difference_with({{key, eps < 1e-5 ? 1e-5 : 1e-6}}), kBound) << key;
  }
  for (const auto& [key, one, other] :
       {std::tuple("activation_function", "gelu", "gelu_new"), std::tuple("hidden_act", "gelu", "gelu_new"),
        std::tuple("afn", "gelu", "swish")}) {
    if (!config.contains(key) || config.at(key) == "silu") continue;
    EXPECT_GT(difference_with({{key, config.at(key) == one ? other : one}}), kBound) << key;
  }
  if (config.contains("window_size")) {
    EXPECT_GT(difference_with({{"window_size", config.at("window_size").get<int>() + 1}}), kBound) << "window_size";
  }
  if (config.contains("scale_attn_weights")) {
    EXPECT_GT(difference_with({{"scale_attn_weights", !config.at("scale_attn_weights").get<bool>()}}), kBound);
  }
  if (config.contains("rope_parameters")) {
    Json rope = config.at("rope_parameters");
    for (const auto& item : config.at("rope_parameters").items()) {
      if (!item.value().is_number()) continue;
      Json changed = rope;
      changed[item.key()] = item.value().is_number_integer() ? Json(item.value().get<int>() / 2)
                                                             : Json(item.value().get<double>() * 1.25);
      EXPECT_GT(difference_with({{"rope_parameters", changed}}), kBound) << item.key();
    }
  }
  // Every kind of tensor, biases and norms included: with its first half set to zero the logits differ. (The keys' bias
  // adds the same to all scores of a row where positions are not rotated: softmax does not see it. An untied BERT does
  // not read the first of its two biases.)
  for (const Json& t : Case().at("tensors")) {
    const std::string changed = t.at(0);
    const bool later_layer = changed.find(".1.") != std::string::npos || changed.find(".2.") != std::string::npos;
    const bool unread = changed == "cls.predictions.bias" && config.value("tie_word_embeddings", true) == false;
    if (later_layer || unread || changed.ends_with("key.bias")) continue;
    WriteGoldenCheckpoint(Case(), dir_, [&](const std::string& name, std::vector<float>& values) {
      if (name == changed) std::fill(values.begin(), values.begin() + static_cast<long>(values.size() + 1) / 2, 0.0f);
    });
    EXPECT_GT(Difference(), kBound) << changed;
  }
}

std::string NameOf(const ::testing::TestParamInfo<size_t>& chosen) {
  return GoldenTestName(GoldenCases().at(chosen.param));
}
INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, ::testing::Range(size_t{0}, GoldenCases().size()), NameOf);
INSTANTIATE_TEST_SUITE_P(Models, GoldenContinuationTest, ::testing::ValuesIn(CasesThat([](const Json& c) {
                           return !c.at("greedy").empty();  // an encoder does not continue
                         })),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Models, GoldenDetailTest,
                         ::testing::ValuesIn(CasesThat([](const Json& c) { return c.at("dtype") == "f32"; })), NameOf);

}  // namespace
}  // namespace kinetok
