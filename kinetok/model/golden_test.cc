// Parity with Hugging Face transformers, without Python: tests/golden/parity.json holds configurations, the recipe of
// the weights and some logits in double precision (tools/golden/make_golden.py wrote it and says how).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/random.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/model.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

bool IsNormWeight(std::string_view name) {
  return name.ends_with(".ln_1.weight") || name.ends_with(".ln_2.weight") || name.ends_with(".ln_f.weight") ||
         name.ends_with("norm.weight");
}

std::vector<float> Draw(uint64_t seed, uint32_t number, std::string_view name, int64_t elements) {
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) {
    const uint32_t word = RandomBits(seed, RandomStream::kTest, number, static_cast<uint64_t>(i))[0];
    const float u = static_cast<float>(word >> 12) * 0x1p-20f - 0.5f;
    values.push_back(u / 4 + (IsNormWeight(name) ? 1.0f : 0.0f));
  }
  return values;
}

// The published directory that a case describes.
void WriteCheckpoint(const Json& golden, const fs::path& dir) {
  fs::create_directories(dir);
  WriteFileAtomically(dir / "config.json", golden.at("config").dump());
  std::vector<TensorSpec> specs;
  std::map<std::string, uint32_t> numbers;
  for (const Json& t : golden.at("tensors")) {
    numbers[t.at(0)] = static_cast<uint32_t>(specs.size());
    specs.push_back({t.at(0), DType::kF32, t.at(1)});
  }
  SafetensorsWriter writer(dir / "model.safetensors", specs);
  for (const TensorSpec& t : writer.tensors()) {
    int64_t elements = 1;
    for (const int64_t d : t.shape) elements *= d;
    writer.Write(t.name, Draw(golden.at("seed"), numbers.at(t.name), t.name, elements));
  }
  writer.Commit();
}

const Json& Cases() {
  static const Json cases = [] {
    const fs::path file = fs::path(KINETOK_SOURCE_DIR) / "tests/golden/parity.json";
    return ParseJson(ReadFile(file), file.string()).at("cases");
  }();
  return cases;
}

class GoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  GoldenTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_golden_{}_{}", getpid(), GetParam())) {
    WriteCheckpoint(Case(), dir_);
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
