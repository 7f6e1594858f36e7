#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/io/image.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/completion_examples.h"
#include "kinetok/train/mixture.h"
#include "kinetok/train/train_test_files.h"
#include "kinetok/vla/image_prompt.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(ShuffledIndexTest, EveryEpochIsAPermutation) {
  for (const int64_t n : {1, 2, 3, 17, 64, 1000, 4097}) {
    std::vector<int64_t> orders[2];
    for (int64_t i = 0; i < 2 * n; ++i) orders[i / n].push_back(ShuffledIndex(7, static_cast<uint64_t>(i), n));
    if (n > 16) {
      EXPECT_NE(orders[0], orders[1]) << n;
      EXPECT_FALSE(std::is_sorted(orders[0].begin(), orders[0].end())) << n;
    }
    for (auto& order : orders) {
      std::sort(order.begin(), order.end());
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i) << n;
    }
  }
}

// Examples that say where they come from: tokens {source, index}.
class Numbered : public ExampleSource {
 public:
  explicit Numbered(int32_t id) : id_(id) {}
  Example Draw(uint64_t, uint64_t index) const override { return {{id_, static_cast<int32_t>(index)}, {0, 0}, {}}; }
  int64_t examples() const override { return 10; }
  int64_t held_out() const override { return id_; }
  Example HeldOut(int64_t index) const override { return Draw(0, static_cast<uint64_t>(index)); }
  int64_t max_length() const override { return 2 + id_; }
  bool has_images() const override { return false; }
  void Check(int64_t) const override {}
  std::string Summary() const override { return "source " + std::to_string(id_); }
  OrderedJson Describe() const override { return {{"id", id_}}; }
  OrderedJson DescribeHeldOut() const override { return nullptr; }

 private:
  int32_t id_;
};

TEST(MixtureTest, SourcesHaveTheirSharesOfEveryBlockAndLoseNoExample) {
  const Mixture mixture(
      {{std::make_shared<Numbered>(0), 3}, {std::make_shared<Numbered>(1), 1}, {std::make_shared<Numbered>(2), 0.5}});
  std::map<int32_t, std::vector<int32_t>> seen;
  std::set<int32_t> early;
  for (uint64_t i = 0; i < 2 * kMixtureBlock; ++i) {
    const Example e = mixture.Read(4, i);
    seen[e.tokens[0]].push_back(e.tokens[1]);
    if (i < 60) early.insert(e.tokens[0]);
  }
  EXPECT_EQ(early.size(), 3u);  // mixed, not one after the other
  EXPECT_EQ(seen[0].size(), 2u * 667);
  EXPECT_EQ(seen[1].size(), 2u * 222);
  EXPECT_EQ(seen[2].size(), 2u * 111);
  for (auto& [id, indices] : seen) {
    std::sort(indices.begin(), indices.end());
    for (size_t i = 0; i < indices.size(); ++i) EXPECT_EQ(indices[i], static_cast<int32_t>(i)) << id;
  }
  EXPECT_EQ(mixture.max_length(), 4);
  EXPECT_EQ(mixture.held_out(), 3);
  EXPECT_EQ(mixture.Describe().size(), 3u);
}

TEST(MixtureTest, ASourceTooSmallForABlockHasItsShareOfALargerOne) {
  const auto seen = [](double weight, uint64_t examples) {
    const Mixture mixture({{std::make_shared<Numbered>(0), 8000}, {std::make_shared<Numbered>(1), weight}});
    std::vector<int32_t> indices;
    for (uint64_t i = 0; i < examples; ++i) {
      const Example e = mixture.Read(4, i);
      if (e.tokens[0] == 1) indices.push_back(e.tokens[1]);
    }
    std::sort(indices.begin(), indices.end());
    return indices;
  };
  EXPECT_EQ(seen(3, 20000), (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));  // 3.7 of 10,000, rounded
  EXPECT_EQ(seen(5, 1000), (std::vector<int32_t>{0}));                        // 0.6 of 1000: the block that it was
}

// The order of a run that was made before must stay what it was: weights as a stage of the bundled robot has them.
TEST(MixtureTest, TheOrderOfTheSmallestBlockIsAsItWas) {
  const Mixture mixture({{std::make_shared<Numbered>(0), 0.3},
                         {std::make_shared<Numbered>(1), 0.05},
                         {std::make_shared<Numbered>(2), 1}});
  std::vector<size_t> sources;
  std::vector<uint64_t> indices;
  for (const uint64_t i : {0, 1, 2, 3, 4, 5, 6, 7, 999, 1000, 123456}) {
    const DrawPlace place = mixture.Locate(0, i);
    sources.push_back(place.source);
    indices.push_back(place.index);
  }
  EXPECT_EQ(sources, (std::vector<size_t>{2, 2, 2, 0, 2, 0, 2, 0, 2, 2, 2}));
  EXPECT_EQ(indices, (std::vector<uint64_t>{679, 280, 122, 145, 309, 74, 120, 96, 168, 933, 91475}));
}

TEST(MixtureTest, ASingleSourceIsReadInItsOwnOrder) {
  const Mixture mixture({std::make_shared<Numbered>(0)});
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(mixture.Read(4, i).tokens[1], static_cast<int32_t>(i));
}

TEST(MixtureTest, WeightsThatMakeNoSenseAreTold) {
  const auto error = [](std::vector<DataShare> shares) { return ErrorOf([&] { Mixture mixture(shares); }); };
  EXPECT_THAT(error({}), HasSubstr("no training data"));
  EXPECT_THAT(error({{std::make_shared<Numbered>(0), 0}}), HasSubstr("is 0 (source 0); it must be positive"));
  EXPECT_THAT(error({{std::make_shared<Numbered>(0), 1}, {std::make_shared<Numbered>(1), 1e-12}}),
              HasSubstr("the weight 1e-12 of a data source (source 1) is less than one example in 1000000000"));
}

class CompletionExamplesTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const Tokenizer> Bytes() {
    BytesBpeTrainer trainer({.vocab_size = 257});
    trainer.Add("a");
    return trainer.Train();
  }
  std::string Fault(const std::string& line) {
    return ErrorOf([&] {
      CompletionExamples data(folder_.Write("bad.jsonl", line), Bytes(), nullptr, 0, {.held_out = 0, .eos = 0});
    });
  }
  TemporaryFolder folder_;
};

TEST_F(CompletionExamplesTest, TheLossIsOfTheCompletionAndTheEndAlone) {
  const CompletionExamples data(folder_.Write("qa.jsonl", R"({"prompt": "1+1=", "completion": "이"})"
                                                          "\n\n"
                                                          R"({"prompt": "", "completion": "x", "more": 1})"),
                                Bytes(), nullptr, 0, {.held_out = 0.5, .eos = 0});
  EXPECT_EQ(data.examples(), 1);
  EXPECT_EQ(data.held_out(), 1);
  const Example e = data.Draw(3, 5);
  const auto text = Bytes()->Encode("1+1=이");
  ASSERT_EQ(e.tokens.size(), 8u);  // BOS, 4 of the prompt, 3 bytes of the answer
  EXPECT_EQ(e.tokens[0], 0);
  EXPECT_TRUE(std::equal(text.begin(), text.end(), e.tokens.begin() + 1));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(e.labels[i], Example::kNoLabel);
  EXPECT_EQ(std::vector<int32_t>(e.labels.begin() + 4, e.labels.end()),
            (std::vector<int32_t>{text[4], text[5], text[6], 0}));
  EXPECT_EQ(data.HeldOut(0).labelled(), 2);  // an empty prompt: after BOS
  EXPECT_FALSE(data.has_images());
}

TEST_F(CompletionExamplesTest, AnImageIsAFileOrAStepOfADemonstration) {
  if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  Image image(6, 4);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(3 * i);
  WritePng(folder_ / "a.png", image.view());
  DemonstrationWriter writer(folder_ / "d.hdf5", OrderedJson::object());
  Demonstration demo{.instruction = "x", .images = {Image(5, 5), image}, .actions = {0, 0}, .states = {}};
  demo.images[0] = Image(6, 4);
  writer.Add(demo);
  writer.Finish();
  const ImageProcessor images(SiglipImages(4));
  const CompletionExamples data(
      folder_.Write("qa.jsonl", R"({"image": "a.png", "prompt": "what?", "completion": " red"})"
                                "\n"
                                R"({"image": "d.hdf5:demo_0:1", "prompt": "what?", "completion": " red"})"
                                "\n"
                                R"({"prompt": "what?", "completion": " red"})"),
      Bytes(), &images, 4, {.held_out = 0.99, .eos = 0});
  ASSERT_EQ(data.held_out(), 2);
  const Example of_file = data.Draw(0, 0), of_step = data.HeldOut(0), blind = data.HeldOut(1);
  EXPECT_EQ(of_file.pixels, images.Process(image.view()));
  EXPECT_EQ(of_step.pixels, of_file.pixels);
  EXPECT_EQ(std::count(of_file.tokens.begin(), of_file.tokens.end(), Example::kPatch), 4);
  EXPECT_EQ(of_file.tokens[1], Example::kPatch);
  EXPECT_TRUE(blind.pixels.empty());
  EXPECT_EQ(blind.tokens.size() + 4, of_file.tokens.size());
  EXPECT_EQ(blind.labelled(), of_file.labelled());
  EXPECT_TRUE(data.has_images());
}

TEST_F(CompletionExamplesTest, OtherPicturesOfTheSameLinesAreOtherData) {
  const ImageProcessor images(SiglipImages(4));
  const auto describe = [&](uint8_t value) {
    Image image(4, 4);
    image.pixels[5] = value;
    WritePng(folder_ / "a.png", image.view());
    const fs::path file = folder_.Write("see.jsonl", R"({"image": "a.png", "prompt": "q", "completion": "x"})");
    return CompletionExamples(file, Bytes(), &images, 4, {.held_out = 0, .eos = 0}).Describe();
  };
  EXPECT_EQ(describe(7), describe(7));
  EXPECT_NE(describe(7)["pictures"], describe(200)["pictures"]);
  EXPECT_EQ(describe(7)["sha256"], describe(200)["sha256"]);
}

TEST_F(CompletionExamplesTest, FilesOfLinesAboutTheSameDemonstrationsOpenThemOnce) {
  if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  const std::filesystem::path file = folder_ / "d.hdf5";
  DemonstrationWriter writer(file, OrderedJson::object(), "wrist");
  writer.Add({.instruction = "x", .images = {Image(6, 4)}, .actions = {0, 0}});
  writer.Finish();
  const ImageProcessor images(SiglipImages(4));
  DemonstrationFiles files("wrist");
  const auto lines = [&](const char* name, const std::string& reference) {
    const std::string line = R"({"image": ")" + reference + R"(:demo_0:0", "prompt": "q", "completion": "x"})";
    return CompletionExamples(folder_.Write(name, line), Bytes(), &images, 4,
                              {.held_out = 0, .eos = 0, .demonstrations = &files});
  };
  const CompletionExamples first = lines("a.jsonl", "d.hdf5"), second = lines("b.jsonl", "./d.hdf5");
  const auto opened = files.Open(file);
  EXPECT_EQ(opened.use_count(), 4);  // the files', the two sources' and this
  EXPECT_EQ(first.Draw(0, 0).pixels, second.Draw(0, 0).pixels);
}

TEST_F(CompletionExamplesTest, AWordForAPatchIsLearnedThere) {
  WritePng(folder_ / "a.png", Image(4, 4).view());
  const ImageProcessor images(SiglipImages(4));
  const auto data = [&](const std::string& patches) {
    const std::string line = R"({"image": "a.png", "prompt": "q", "completion": "x", "patches": )" + patches + "}";
    return CompletionExamples(folder_.Write("see.jsonl", line), Bytes(), &images, 4, {.held_out = 0, .eos = 0});
  };
  const Example e = data(R"(["ab", "", "", "c"])").Draw(0, 0);
  const int32_t b = Bytes()->Encode("b")[0], c = Bytes()->Encode("c")[0], x = Bytes()->Encode("x")[0];
  const int32_t none = Example::kNoLabel;
  // BOS, four patches, the prompt, the answer; the last token of a word stands for it.
  EXPECT_EQ(e.labels, (std::vector<int32_t>{none, b, none, none, c, x, 0}));
  const auto fault = [&](const std::string& patches) { return ErrorOf([&] { data(patches); }); };
  EXPECT_THAT(fault(R"(["a"])"), HasSubstr("line 1: field \"patches\" has 1 words; expected 4"));
  EXPECT_THAT(fault(R"(["a", "", "", 3])"), HasSubstr("field \"patches\" holds 3; expected words"));
  EXPECT_THAT(fault("7"), HasSubstr("\"patches\""));
  EXPECT_THAT(Fault(R"({"prompt": "q", "completion": "x", "patches": []})"), HasSubstr("needs an \"image\""));
}

TEST_F(CompletionExamplesTest, BadLinesAreToldByFileLineAndField) {
  EXPECT_THAT(Fault(R"({"prompt": "a"})"), HasSubstr("bad.jsonl: line 1: required field \"completion\""));
  EXPECT_THAT(Fault("\n{\"prompt\": 1, \"completion\": \"x\"}"), HasSubstr("bad.jsonl: line 2: field \"prompt\""));
  EXPECT_THAT(Fault(R"({"prompt": "a", "completion": ""})"), HasSubstr("is empty"));
  EXPECT_THAT(Fault("[1]"), HasSubstr("bad.jsonl: line 1"));
  EXPECT_THAT(Fault("{"), HasSubstr("bad.jsonl: line 1"));
  EXPECT_THAT(Fault(" \n"), HasSubstr("no lines to train on"));
  EXPECT_THAT(Fault(R"({"prompt": "a", "completion": "x", "image": "a.png"})"), HasSubstr("the model sees none"));
  const ImageProcessor images(SiglipImages(4));
  EXPECT_THAT(ErrorOf([&] {
                CompletionExamples data(
                    folder_.Write("q.jsonl", R"({"prompt": "a", "completion": "x", "image": "no.png"})"), Bytes(),
                    &images, 4, {.held_out = 0, .eos = 0});
              }),
              HasSubstr("line 1: field \"image\" is \"no.png\", which does not exist"));
}

}  // namespace
}  // namespace kinetok
