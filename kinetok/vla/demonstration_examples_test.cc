#include "kinetok/vla/demonstration_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "kinetok/base/error.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/vla/image_prompt.h"
#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr int64_t kVocabEnd = 257 + 256, kPatches = 4;

class DemonstrationExamplesTest : public ::testing::Test {
 protected:
  DemonstrationExamplesTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_demos_{}", getpid())) {
    fs::create_directories(dir_);
  }
  ~DemonstrationExamplesTest() override { fs::remove_all(dir_); }
  void SetUp() override {
    if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  }

  // `count` demonstrations of 3, 4, 5 ... steps, whose x runs from -1 to 1 and whose gripper opens and closes.
  fs::path Write(const std::string& name, int count, uint8_t mask = 0) const {
    DemonstrationWriter writer(dir_ / name, {{"image_rotation", 0}});
    for (int d = 0; d < count; ++d) {
      Demonstration demo;
      demo.instruction = fmt::format("Reach Block {}", d);
      for (int step = 0; step < 3 + d; ++step) {
        Image image(10, 8);
        for (size_t i = 0; i < image.pixels.size(); ++i) {
          image.pixels[i] = static_cast<uint8_t>(i + static_cast<size_t>(16 * d + step)) ^ mask;
        }
        demo.images.push_back(std::move(image));
        const double x = 2.0 * step / (2 + d) - 1;
        demo.actions.insert(demo.actions.end(), {x, 0.5 * x, 0, 0, 0, 0, step % 2 == 0 ? -1.0 : 1.0});
      }
      writer.Add(demo);
    }
    writer.Finish();
    return dir_ / name;
  }

  static PolicyFormat Format() {
    BytesBpeTrainer trainer({.vocab_size = 257});
    trainer.Add("a");
    return {.tokenizer = trainer.Train(),
            .actions = ActionTokenizer(kVocabEnd),
            .separator = 32,
            .style = InstructionStyle::kOpenVla,
            .eos = 256,
            .patches = kPatches,
            .images = ImageProcessor(SiglipImages(8))};
  }

  fs::path dir_;
};

TEST_F(DemonstrationExamplesTest, AStepIsItsImageItsInstructionAndTheActionAsLabels) {
  const PolicyFormat format = Format();
  const DemonstrationExamples data({Write("a.hdf5", 2)}, Format(), {.held_out = 0.5});
  ASSERT_EQ(data.examples(), 3);
  ASSERT_EQ(data.held_out(), 4);
  const Example e = data.HeldOut(1);
  std::vector<int32_t> prompt =
      InstructionTokens(*format.tokenizer, "Reach Block 1", format.style, format.separator, kPatches);
  ASSERT_EQ(e.tokens.size(), prompt.size() + 7);
  EXPECT_EQ(e.labels.size(), e.tokens.size());
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), e.tokens.begin()));
  EXPECT_EQ(data.max_length(), static_cast<int64_t>(e.tokens.size()));
  // Labels begin at the prompt's last token and end with the end of text.
  EXPECT_EQ(e.labelled(), 8);
  for (size_t i = 0; i + 1 < prompt.size(); ++i) EXPECT_EQ(e.labels[i], Example::kNoLabel);
  EXPECT_TRUE(std::equal(e.tokens.begin() + static_cast<ptrdiff_t>(prompt.size()), e.tokens.end(),
                         e.labels.begin() + static_cast<ptrdiff_t>(prompt.size()) - 1));
  EXPECT_EQ(e.labels.back(), format.eos);
  // Step 1 of 4: x = -1/3, inside the training bounds; y is half of it and has the same place in its own bounds; the
  // constant dimensions are 0; the gripper, closed in the file (1), is 0.
  const int32_t* a = &e.tokens[prompt.size()];
  EXPECT_EQ(a[0],
            format.actions.Encode(data.statistics().Normalize(std::vector<double>{-1.0 / 3, 0, 0, 0, 0, 0, 0})[0]));
  EXPECT_EQ(a[1], a[0]);
  EXPECT_EQ(a[2], format.actions.Encode(0));
  EXPECT_EQ(a[6], format.actions.Encode(0));
  EXPECT_EQ(data.HeldOut(0).tokens.back(), format.actions.Encode(1));  // open

  const DemonstrationFile file(dir_ / "a.hdf5");
  EXPECT_EQ(e.pixels, format.images.Process(file.ReadImage(1, 1).view()));
}

TEST_F(DemonstrationExamplesTest, APresetThatTurnsImagesTurnsThoseOfAFileOnce) {
  // LIBERO's files hold images upside down, as its camera gives them, and are read upright; ours are upright.
  for (const char* rotation : {"180", "0"}) {
    DemonstrationWriter writer(dir_ / "turned.hdf5", {{"image_rotation", std::stoi(rotation)}});
    Demonstration demo;
    demo.instruction = "go";
    demo.actions = {0, 0, 0, 0, 0, 0, 1};
    Image image(8, 8);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i);
    demo.images.push_back(image);
    writer.Add(demo);
    writer.Finish();
    ImageProcessorConfig config = SiglipImages(8);
    config.preset = ImagePreset::kTensorflowEval;
    const ImageProcessor unturned(config);
    config.tensorflow_eval.rotate_180 = true;
    PolicyFormat format = Format();
    format.images = ImageProcessor(config);
    const DemonstrationExamples data({dir_ / "turned.hdf5"}, format, {.held_out = 0});
    const Image upright = DemonstrationFile(dir_ / "turned.hdf5").ReadImage(0, 0);
    EXPECT_EQ(data.Draw(0, 0).pixels, unturned.Process(upright.view())) << rotation;
    // What the policy sees when it acts: the camera's own image.
    EXPECT_EQ(data.Draw(0, 0).pixels, format.images.Process(Rotate180(upright.view()).view())) << rotation;
    fs::remove(dir_ / "turned.hdf5");
  }
}

TEST_F(DemonstrationExamplesTest, RandomCropsStandInForTheCentreCrop) {
  const fs::path file = Write("a.hdf5", 2);
  PolicyFormat centred = Format(), whole = Format();
  ImageProcessorConfig config = SiglipImages(8);
  config.preset = ImagePreset::kTensorflowEval;
  whole.images = ImageProcessor(config);
  config.tensorflow_eval.center_crop = true;
  centred.images = ImageProcessor(config);
  const DemonstrationOptions random{.held_out = 0.5, .augmentation = {.crop_area = 0.9f}};
  const DemonstrationExamples a({file}, centred, random), b({file}, whole, random);
  const DemonstrationExamples still({file}, centred, {.held_out = 0.5});
  EXPECT_EQ(a.Draw(3, 1).pixels, b.Draw(3, 1).pixels);
  EXPECT_NE(a.HeldOut(0).pixels, b.HeldOut(0).pixels);  // as the policy acts
  EXPECT_EQ(a.HeldOut(0).pixels, still.HeldOut(0).pixels);
  EXPECT_NE(still.Draw(3, 1).pixels, DemonstrationExamples({file}, whole, {.held_out = 0.5}).Draw(3, 1).pixels);
}

TEST_F(DemonstrationExamplesTest, StatisticsAreOfTheTrainingStepsAsNumpyCountsThem) {
  const DemonstrationExamples data({Write("a.hdf5", 2)}, Format(), {.held_out = 0.5});
  const ActionStatistics& s = data.statistics();  // x: -1, 0, 1
  EXPECT_EQ(s.num_transitions, 3);
  EXPECT_EQ(s.num_trajectories, 1);
  EXPECT_EQ(s.min[0], -1);
  EXPECT_EQ(s.max[1], 0.5);
  EXPECT_DOUBLE_EQ(s.q01[0], -0.98);  // numpy.quantile([-1, 0, 1], 0.01)
  EXPECT_DOUBLE_EQ(s.q99[0], 0.98);
  EXPECT_DOUBLE_EQ(s.std[0], std::sqrt(2.0 / 3));  // numpy.std
  EXPECT_THAT(s.mask, ElementsAre(true, true, true, true, true, true, false));
  EXPECT_DOUBLE_EQ(s.mean[6], 2.0 / 3);
  // What is written is read back.
  const DatasetStatistics read(Json::parse(StatisticsToJson("toy", s).dump()), "stats");
  EXPECT_EQ(read.Choose("toy").second.q99, s.q99);
  EXPECT_EQ(read.Choose("toy").second.mask, s.mask);
  EXPECT_EQ(read.Choose("toy").second.num_trajectories, 1);
}

TEST_F(DemonstrationExamplesTest, AnEpochVisitsEveryStepOnceAndEachInAnotherOrder) {
  const DemonstrationExamples data({Write("a.hdf5", 4), Write("b.hdf5", 3)}, Format(), {.held_out = 0});
  const int64_t n = data.examples();
  ASSERT_EQ(n, 3 + 4 + 5 + 6 + 3 + 4 + 5);
  std::vector<std::multiset<std::vector<float>>> epochs(2);
  std::vector<std::vector<float>> order[2];
  for (int64_t i = 0; i < 2 * n; ++i) {
    Example e = data.Draw(9, static_cast<uint64_t>(i));
    epochs[i / n].insert(e.pixels);
    order[i / n].push_back(std::move(e.pixels));
  }
  EXPECT_EQ(epochs[0], epochs[1]);
  EXPECT_NE(order[0], order[1]);
  EXPECT_EQ(data.Draw(9, 5).tokens, data.Draw(9, 5).tokens);
}

TEST_F(DemonstrationExamplesTest, ALimitTakesTheFirstDemonstrationsAndAugmentationTheTrainingOnesAlone) {
  const fs::path file = Write("a.hdf5", 4);
  const DemonstrationExamples one({file}, Format(), {.held_out = 0.25, .limit = 1});
  EXPECT_EQ(one.examples(), 3);
  EXPECT_EQ(one.held_out(), 6);
  const DemonstrationExamples plain({file}, Format(), {.held_out = 0.25}),
      changed({file}, Format(), {.held_out = 0.25, .augmentation = ParseAugmentation("openvla")});
  EXPECT_NE(plain.Draw(1, 0).pixels, changed.Draw(1, 0).pixels);
  EXPECT_EQ(plain.Draw(1, 0).labels, changed.Draw(1, 0).labels);
  EXPECT_EQ(plain.HeldOut(0).pixels, changed.HeldOut(0).pixels);
  EXPECT_NE(plain.Describe(), changed.Describe());
  EXPECT_NE(plain.Describe(), one.Describe());
  EXPECT_EQ(plain.DescribeHeldOut(), changed.DescribeHeldOut());
}

TEST_F(DemonstrationExamplesTest, OtherPicturesOfTheSameActionsAreOtherData) {
  const DemonstrationExamples first({Write("a.hdf5", 4), Write("b.hdf5", 3)}, Format(), {});
  const DemonstrationExamples copy({Write("c.hdf5", 4), Write("d.hdf5", 3)}, Format(), {});
  EXPECT_EQ(copy.Describe(), first.Describe());
  const DemonstrationExamples inverted({Write("c.hdf5", 4), Write("d.hdf5", 3, 0xFF)}, Format(), {});
  EXPECT_EQ(inverted.Describe()["sha256"], first.Describe()["sha256"]);
  EXPECT_NE(inverted.Describe()["pictures"], first.Describe()["pictures"]);
}

TEST_F(DemonstrationExamplesTest, LiberosGripperBecomesOneOpenAndZeroClosed) {
  EXPECT_THAT(OpenIsOne(std::vector<double>{1, 2, 3, 4, 5, 6, -1}), ElementsAre(1, 2, 3, 4, 5, 6, 1));
  EXPECT_THAT(OpenIsOne(std::vector<double>{1, 2, 3, 4, 5, 6, 1}), ElementsAre(1, 2, 3, 4, 5, 6, 0));
  EXPECT_THAT(OpenIsOne(std::vector<double>{1, -1}), ElementsAre(1, -1));
}

TEST_F(DemonstrationExamplesTest, AGripperThatIsClosedAtZeroAndAnUnusableInstructionAreRefused) {
  const auto error = [&](double closed, const std::string& instruction = "go") {
    DemonstrationWriter writer(dir_ / "g.hdf5", {{"image_rotation", 0}});
    Demonstration demo;
    demo.instruction = instruction;
    demo.images = {Image(8, 8), Image(8, 8)};
    demo.actions = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, closed};
    writer.Add(demo);
    writer.Finish();
    try {
      const DemonstrationExamples data({dir_ / "g.hdf5"}, Format(), {.held_out = 0});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(error(0), ::testing::HasSubstr("g.hdf5: the gripper, the last of seven numbers of an action, is 0"));
  EXPECT_THAT(error(1, std::string(5000, 'x')), ::testing::HasSubstr("data/demo_0: the instruction has 5000 bytes"));
  EXPECT_EQ(error(-1), "");
  EXPECT_EQ(error(1), "");  // closed throughout
}

}  // namespace
}  // namespace kinetok
