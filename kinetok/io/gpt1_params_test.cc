#include "kinetok/io/gpt1_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "kinetok/io/checkpoint.h"
#include "kinetok/io/io_test_files.h"
#include "kinetok/io/npy.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

class Gpt1ParamsTest : public TemporaryFolder {
 protected:
  // One layer, width 64, 5 words, 7 positions.
  static Json Shapes() {
    return Json::parse(
        "[[7,64],[5,64],[1,64,192],[192],[1,64,64],[64],[64],[64],[1,64,256],[256],[1,256,64],[64],[64],[64]]");
  }
  static constexpr int64_t kValues = 7 * 64 + 5 * 64 + 64 * 192 + 192 + 64 * 64 + 3 * 64 + 2 * 64 * 256 + 256 + 3 * 64;

  // Value i is i; the files are cut at odd places.
  void WriteFiles(const Json& shapes, int64_t values = kValues) {
    WriteFileAtomically(folder() / kGpt1Shapes, shapes.dump());
    std::vector<float> all(values);
    std::iota(all.begin(), all.end(), 0.0f);
    int64_t first = 0;
    for (int number = 0; number < 3; ++number) {
      const int64_t n = number == 2 ? values - first : 501 + 4000 * number;
      const int64_t shape[] = {n};
      WriteNpy(folder() / fmt::format("params_{}.npy", number), shape, std::span(all).subspan(first, n));
      first += n;
    }
  }
  std::string ErrorOf(const Json& shapes, int64_t values = kValues) {
    WriteFiles(shapes, values);
    try {
      const Checkpoint checkpoint(folder());
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
};

TEST_F(Gpt1ParamsTest, EveryValueIsWhereItBelongsWhereverTheFilesAreCut) {
  WriteFiles(Shapes());
  const Checkpoint checkpoint(folder());
  ASSERT_EQ(checkpoint.tensors().size(), 14);
  float next = 0;
  for (int again = 0; again < 2; ++again, next = 0) {
    for (const TensorData& t : checkpoint.tensors()) {
      std::vector<float> values(t.info->elements());
      t.LoadF32(0, values);
      for (const float v : values) ASSERT_EQ(v, next++) << t.info->name;
      t.Drop();
    }
  }
  EXPECT_EQ(checkpoint.Find("transformer.h.0.mlp.c_proj.weight")->info->shape, (std::vector<int64_t>{256, 64}));
  const OrderedJson config = Gpt1ConfigFromShapes(Shapes(), "x");
  EXPECT_EQ(config.at("n_head"), 1);
  EXPECT_EQ(config.at("vocab_size"), 5);
  EXPECT_EQ(config.at("n_positions"), 7);
}

TEST_F(Gpt1ParamsTest, NamesTheShapeThatCannotBe) {
  Json shapes = Shapes();
  shapes[4] = {1, 64, 65};
  EXPECT_THAT(ErrorOf(shapes), HasSubstr("shape 4 (attn.c_proj.weight) is [64, 65], expected [64, 64]"));
  shapes[4] = {0, -1};
  EXPECT_THAT(ErrorOf(shapes), HasSubstr("shape 4 is [0,-1]"));
  shapes = Shapes();
  shapes.erase(13);
  EXPECT_THAT(ErrorOf(shapes), HasSubstr("holds 13 shapes"));
  EXPECT_THAT(ErrorOf(Shapes(), kValues + 1),
              HasSubstr(fmt::format("describes {} values, expected the {}", kValues, kValues + 1)));
  std::filesystem::remove(folder() / "params_0.npy");
  EXPECT_THROW(Checkpoint{folder()}, Error);
}

TEST_F(Gpt1ParamsTest, RefusesFilesThatAreNoVectorsOfFloat32) {
  const auto error = [](const std::string& header, size_t bytes, char version = 1) {
    std::string text = std::string("\x93NUMPY") + version + std::string(1, '\0') + static_cast<char>(header.size()) +
                       std::string(1, '\0') + header + std::string(bytes, '\0');
    try {
      ParseNpyVector(std::as_bytes(std::span(text)), "a.npy");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  EXPECT_EQ(error(good, 12), "no error");
  EXPECT_THAT(error(good, 13), HasSubstr("13 bytes follow the header, expected those of 3"));
  EXPECT_THAT(error(good, 12, 3), HasSubstr("version 3"));
  EXPECT_THAT(error("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 24), HasSubstr("'<f8'"));
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }", 12), HasSubstr("one dimension"));
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,), }", 12),
              HasSubstr("expected those of"));
  EXPECT_THAT(error("{'descr': '<f4', 'shape': (3,)", 12), HasSubstr("fortran_order"));
  EXPECT_THAT(error("{'descr'", 12), HasSubstr("no value"));
  const std::string cut("\x93NUMPY\x01\x00\xff\xff{}", 12);
  EXPECT_THROW(ParseNpyVector(std::as_bytes(std::span(cut)), "a.npy"), Error);
}

}  // namespace
}  // namespace kinetok
