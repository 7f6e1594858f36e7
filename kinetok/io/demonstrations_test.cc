#include "kinetok/io/demonstrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class DemonstrationsTest : public TemporaryFolder {
 protected:
  void SetUp() override {
    if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  }
  std::filesystem::path file() const { return folder() / "demos.hdf5"; }
};

Image Drawn(int64_t width, int64_t height, int salt) {
  Image image(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(i * 37 + static_cast<size_t>(salt) * 11);
  }
  return image;
}

Demonstration Drawn(int steps) {
  Demonstration demo;
  demo.instruction = "pick up the 빨간 블록";
  for (int t = 0; t < steps; ++t) {
    demo.images.push_back(Drawn(6, 5, t));
    for (int d = 0; d < 7; ++d) demo.actions.push_back(0.125 * t - d);
    demo.states.insert(demo.states.end(), {1.0 * t, 2.0});
  }
  demo.attributes["layout"] = {{"objects", 3}};
  return demo;
}

TEST_F(DemonstrationsTest, WhatIsWrittenIsReadBack) {
  DemonstrationWriter writer(file(), {{"env_args", {{"seed", 7}}}, {"image_rotation", 0}});
  for (int i = 0; i < 12; ++i) writer.Add(Drawn(2 + i));
  EXPECT_FALSE(std::filesystem::exists(file()));
  writer.Finish();
  EXPECT_THAT(Listing(), ElementsAre("demos.hdf5"));

  const DemonstrationFile demos(file());
  ASSERT_EQ(demos.demonstrations().size(), 12u);
  EXPECT_EQ(demos.dimensions(), 7);
  EXPECT_EQ(demos.image_rotation(), 0);
  for (int i = 0; i < 12; ++i) {
    const DemonstrationInfo& info = demos.demonstrations()[i];
    const Demonstration expected = Drawn(2 + i);
    EXPECT_EQ(info.name, fmt::format("demo_{}", i));  // 2 before 10
    EXPECT_EQ(info.instruction, expected.instruction);
    EXPECT_EQ(info.steps, 2 + i);
    EXPECT_EQ(demos.Actions(i), expected.actions);
    EXPECT_EQ(demos.ReadImage(i, 1 + i).pixels, expected.images[1 + i].pixels);
    EXPECT_EQ(demos.Attribute(i, "layout"), Json({{"objects", 3}}));
    EXPECT_TRUE(demos.Attribute(i, "no such").is_null());
  }
  EXPECT_EQ(demos.Find("demo_11"), 11);
  EXPECT_EQ(demos.Find("demo_12"), -1);
}

TEST_F(DemonstrationsTest, TheSameDemonstrationsAreTheSameBytesAtAnyTime) {
  const auto bytes = [&] {
    DemonstrationWriter writer(file(), {{"env_args", {{"seed", 7}}}});
    writer.Add(Drawn(3));
    writer.Finish();
    return ReadFile(file());
  };
  const std::string first = bytes();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 would note times in seconds
  EXPECT_TRUE(bytes() == first);
}

TEST_F(DemonstrationsTest, AFileThatIsNotFinishedLeavesNothing) {
  {
    DemonstrationWriter writer(file(), OrderedJson::object());
    writer.Add(Drawn(3));
  }
  EXPECT_THAT(Listing(), IsEmpty());
}

TEST_F(DemonstrationsTest, LiberosFilesAreReadAsH5pyWritesThem) {
  const DemonstrationFile demos(std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden/libero.hdf5");
  ASSERT_EQ(demos.demonstrations().size(), 2u);
  EXPECT_EQ(demos.demonstrations()[0].name, "demo_2");
  EXPECT_EQ(demos.demonstrations()[1].name, "demo_10");
  EXPECT_EQ(demos.demonstrations()[1].instruction, "pick up the Milk");
  EXPECT_EQ(demos.demonstrations()[1].steps, 3);
  EXPECT_EQ(demos.demonstrations()[1].width, 5);
  EXPECT_EQ(demos.demonstrations()[1].height, 4);
  EXPECT_EQ(demos.Actions(1)[0], 0);
  EXPECT_EQ(demos.Actions(1)[8], 0.5);
  EXPECT_EQ(demos.Actions(1)[6], -1);
  // Upright: the last pixel as stored comes first.
  EXPECT_EQ(demos.image_rotation(), 180);
  for (int demo = 0; demo < 2; ++demo) {
    const Image image = demos.ReadImage(demo, 1);
    for (int pixel = 0; pixel < 20; ++pixel) {
      for (int c = 0; c < 3; ++c) EXPECT_EQ(image.pixels[3 * pixel + c], (60 + 3 * (19 - pixel) + c) % 251);
    }
  }
}

TEST_F(DemonstrationsTest, WhatIsNoDemonstrationIsTold) {
  const auto open = [&](std::string_view camera = kDefaultCamera) {
    return ErrorOf([&] { DemonstrationFile demos(file(), camera); });
  };
  EXPECT_THAT(open(), EndsWith("demos.hdf5: is no file, expected demonstrations in HDF5"));
  WriteFileAtomically(file(), "not HDF5");
  EXPECT_THAT(open(), EndsWith("demos.hdf5: is no HDF5 file"));

  const auto write = [&](const Demonstration& demo) {
    DemonstrationWriter writer(file(), OrderedJson::object());
    writer.Add(demo);
    writer.Finish();
  };
  write(Drawn(3));
  EXPECT_THAT(open("wrist"), EndsWith("data/demo_0/obs: has no camera \"wrist\", only agentview_rgb"));
  Demonstration broken = Drawn(3);
  broken.actions[9] = std::nan("");
  write(broken);
  EXPECT_THAT(open(),
              EndsWith("data/demo_0/actions: step 1, dimension 2 is nan, expected a finite number of at most 1e+100"));
  broken.actions[9] = -1e300;
  write(broken);
  EXPECT_THAT(open(), HasSubstr("dimension 2 is -1e+300, expected a finite number of at most 1e+100"));
  broken = Drawn(3);
  broken.instruction = "";
  write(broken);
  EXPECT_THAT(open(), HasSubstr("data/demo_0: has no instruction"));
  DemonstrationWriter(file(), OrderedJson::object()).Finish();
  EXPECT_THAT(open(), EndsWith("has no demonstrations in \"data\""));
  DemonstrationWriter(file(), {{"image_rotation", 90}}).Finish();
  EXPECT_THAT(open(), EndsWith("attribute image_rotation of data is 90, expected 0 or 180"));
}

TEST_F(DemonstrationsTest, AFileThatIsCutShortIsAnErrorWhereverItIsCut) {
  DemonstrationWriter writer(file(), OrderedJson::object());
  for (int i = 0; i < 3; ++i) writer.Add(Drawn(4));
  writer.Finish();
  const std::string whole = ReadFile(file());
  for (size_t cut = 1; cut < 20; ++cut) {
    WriteFileAtomically(file(), std::string_view(whole).substr(0, whole.size() * cut / 20));
    EXPECT_THAT(ErrorOf([&] {
                  const DemonstrationFile demos(file());
                  for (int i = 0; i < 3; ++i) demos.ReadImage(i, 3);
                }),
                StartsWith(file().string()))
        << cut;
  }
}

TEST_F(DemonstrationsTest, WhatCannotBeWrittenIsTold) {
  DemonstrationWriter writer(file(), OrderedJson::object());
  Demonstration ragged = Drawn(3);
  ragged.actions.pop_back();
  EXPECT_THAT(ErrorOf([&] { writer.Add(ragged); }), HasSubstr("3 images, 20 numbers of actions"));
  ragged = Drawn(3);
  ragged.images[2] = Drawn(2, 2, 0);
  EXPECT_THAT(ErrorOf([&] { writer.Add(ragged); }), HasSubstr("images of 6 x 5 and of 2 x 2 pixels"));
  EXPECT_THAT(ErrorOf([&] { DemonstrationWriter(folder() / "none/demos.hdf5", OrderedJson::object()); }),
              AllOf(HasSubstr("none/demos.hdf5"), HasSubstr("cannot be created")));
}

TEST_F(DemonstrationsTest, AFullDiskLeavesTheOldFile) {
  DemonstrationWriter first(file(), OrderedJson::object());
  first.Add(Drawn(2));
  first.Finish();
  const std::string old = ReadFile(file());
  Demonstration large = Drawn(40);
  for (Image& image : large.images) image = Drawn(64, 64, static_cast<int>(image.pixels[0]));
  {
    const FullDisk full(16 << 10);
    EXPECT_THAT(ErrorOf([&] {
                  DemonstrationWriter writer(file(), OrderedJson::object());
                  writer.Add(large);
                  writer.Finish();
                }),
                HasSubstr("demos.hdf5: cannot be written"));
  }
  EXPECT_EQ(ReadFile(file()), old);
  EXPECT_THAT(Listing(), ElementsAre("demos.hdf5"));
}

}  // namespace
}  // namespace kinetok
