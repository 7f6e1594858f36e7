// Parity with Hugging Face transformers, without Python: tests/golden/parity.json holds configurations, the recipe of
// the weights and some logits in double precision (tools/golden/make_golden.py wrote it and says how).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "kinetok/base/json.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_checkpoint.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

const Json& Cases() {
  static const Json cases = ReadGolden("parity.json").at("cases");
  return cases;
}

class GoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  GoldenTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_golden_{}_{}", getpid(), GetParam())) {
    WriteGoldenCheckpoint(Case(), dir_);
  }
  ~GoldenTest() override { fs::remove_all(dir_); }
  static const Json& Case() { return Cases().at(GetParam()); }

  fs::path dir_;
};

TEST_P(GoldenTest, LogitsAreThoseOfTransformers) {
  Context context(2, BestIsa());
  const auto model = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
  KvCache cache(model->config());
  const int sequence = cache.NewSequence();
  std::vector<BatchRow> rows;
  for (const int32_t token : Case().at("tokens")) rows.push_back({token, sequence, true});
  Workspace workspace;
  const Rows<const float> logits = model->Forward(context, rows, cache, workspace);

  const double bound = 1e-5 * Case().at("largest").get<double>();
  double worst = 0;
  for (const Json& row : Case().at("logits")) {
    const int64_t position = row.at("position");
    for (size_t i = 0; i < row.at("values").size(); ++i) {
      const int64_t id = Case().at("ids").at(i);
      const double expected = row.at("values").at(i), got = logits[position][id];
      ASSERT_NEAR(got, expected, bound) << "position " << position << ", id " << id;
      worst = std::max(worst, std::abs(got - expected));
    }
  }
  RecordProperty("largest_difference", fmt::format("{:.2e} of {:.2e}", worst, bound));
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, ::testing::Range(size_t{0}, Cases().size()), [](const auto& chosen) {
  std::string name = Cases().at(chosen.param).at("name");
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

}  // namespace
}  // namespace kinetok
