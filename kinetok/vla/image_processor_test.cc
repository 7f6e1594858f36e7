#include "kinetok/vla/image_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/sha256.h"
#include "kinetok/io/image_cases.h"
#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden";

const Json& Cases() {
  static const Json golden = ParseJson(ReadFile(kGolden / "images.json"), "images.json");
  return golden.at("cases");
}

Image GoldenImage(const Json& golden) {
  return ReadImage(kGolden / "images" / golden.at("file").get<std::string>());
}

template <class T>
std::string HashOf(const std::vector<T>& values) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(values)));
  return hash.Hex();
}

ResizeStrategy StrategyOf(const Json& name) {
  if (name == "letterbox") return ResizeStrategy::kLetterbox;
  return name == "resize-crop" ? ResizeStrategy::kCrop : ResizeStrategy::kNaive;
}

// As openvla's PrismaticImageProcessor: Pillow's bits, and torchvision's after them.
TEST(ImageProcessorTest, TheServerPresetHasTheReferencesBits) {
  int compared = 0;
  for (const Json& golden : Cases()) {
    if (!golden.contains("server")) continue;
    const Image image = GoldenImage(golden);
    for (const Json& expected : golden.at("server")) {
      const std::string what = fmt::format("{} {} {}", golden.at("file").get<std::string>(),
                                           expected.at("strategy").get<std::string>(), expected.at("size").get<int>());
      ImageProcessorConfig config = OpenVlaImages(expected.at("size"));
      config.strategy = StrategyOf(expected.at("strategy"));
      const ImageProcessor processor(config);
      EXPECT_EQ(HashOf(processor.Resize(image.view()).pixels), expected.at("pixels")) << what;
      const std::vector<float> tensor = processor.Process(image.view());
      EXPECT_EQ(HashOf(tensor), expected.at("tensor")) << what;
      const Json& samples = expected.at("samples");
      for (size_t i = 0; i < samples.at("at").size(); ++i) {
        EXPECT_NEAR(tensor[samples.at("at")[i].get<size_t>()], samples.at("value")[i].get<float>(), 1e-5) << what;
      }
      ++compared;
    }
  }
  EXPECT_GE(compared, 78);
}

// TensorFlow's sine is its C library's, and its compiler may fuse: of a picture, one value or so is one off.
TEST(ImageProcessorTest, TheEvaluationPresetIsWithinOneOfTensorflow) {
  int compared = 0, equal = 0;
  for (const Json& golden : Cases()) {
    if (!golden.contains("evaluation")) continue;
    const Image image = GoldenImage(golden);
    for (const Json& expected : golden.at("evaluation")) {
      ImageProcessorConfig config = OpenVlaImages(expected.at("size"));
      config.preset = ImagePreset::kTensorflowEval;
      config.tensorflow_eval = {expected.at("rotate_180"), expected.at("jpeg_round_trip"), expected.at("center_crop")};
      const Image resized = ImageProcessor(config).Resize(image.view());
      const Json& samples = expected.at("samples");
      for (size_t i = 0; i < samples.at("at").size(); ++i) {
        const int ours = resized.pixels.at(samples.at("at")[i].get<size_t>()), theirs = samples.at("value")[i];
        EXPECT_LE(std::abs(ours - theirs), 1) << golden.at("file") << expected.at("size");
      }
      equal += HashOf(resized.pixels) == expected.at("pixels") ? 1 : 0;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
  EXPECT_GE(equal, 22);
}

TEST(ImageProcessorTest, TheJpegRoundTripHasTensorflowsBits) {
  int compared = 0;
  for (const Json& golden : Cases()) {
    if (!golden.contains("jpeg_round_trip")) continue;
    const std::string jpeg = EncodeJpeg(GoldenImage(golden).view(), 95);
    const Image back = DecodeImage(std::as_bytes(std::span(jpeg)), "jpeg", {.transform = JpegTransform::kFast});
    EXPECT_EQ(HashOf(back.pixels), golden.at("jpeg_round_trip")) << golden.at("file");
    ++compared;
  }
  EXPECT_EQ(compared, 6);
}

TEST(ImageProcessorTest, EveryChannelOrderAndStrideGivesTheSameBits) {
  const Image image = TestImage(31, 22);
  ImageProcessorConfig letterbox = SiglipImages(16), crop = letterbox, evaluation = letterbox;
  letterbox.strategy = ResizeStrategy::kLetterbox;
  crop.strategy = ResizeStrategy::kCrop;
  evaluation.preset = ImagePreset::kTensorflowEval;
  evaluation.tensorflow_eval = {true, true, true};
  for (const auto& config : {SiglipImages(16), letterbox, crop, evaluation}) {
    const ImageProcessor processor(config);
    const std::vector<float> expected = processor.Process(image.view());
    for (const auto order : {ChannelOrder::kRgb, ChannelOrder::kBgr, ChannelOrder::kRgba, ChannelOrder::kBgra}) {
      const ChannelLayout layout = LayoutOf(order);
      const int64_t stride = layout.bytes * 31 + 5;
      std::vector<uint8_t> bytes(static_cast<size_t>(stride * 22), 77);
      for (int64_t y = 0; y < 22; ++y) {
        for (int64_t x = 0; x < 31; ++x) {
          const uint8_t* from = image.pixels.data() + 3 * (y * 31 + x);
          uint8_t* to = bytes.data() + y * stride + x * layout.bytes;
          to[layout.red] = from[0];
          to[layout.green] = from[1];
          to[layout.blue] = from[2];
        }
      }
      EXPECT_EQ(processor.Process({bytes.data(), 31, 22, stride, order}), expected);
    }
  }
}

// The window that is kept is all that is computed: a strip of 1 x 60000 pixels would else become 13,440,000 x 224.
TEST(ImageProcessorTest, AnExtremeShapeTakesLittleMemory) {
  const std::vector<uint8_t> strip(60000, 90);
  ImageProcessorConfig config = SiglipImages();
  for (const auto strategy : {ResizeStrategy::kNaive, ResizeStrategy::kLetterbox, ResizeStrategy::kCrop}) {
    config.strategy = strategy;
    const ImageProcessor processor(config);
    for (const ImageView& view : {ImageView{strip.data(), 60000, 1, 60000, ChannelOrder::kGray},
                                  ImageView{strip.data(), 1, 60000, 1, ChannelOrder::kGray}}) {
      const Image out = processor.Resize(view);
      EXPECT_EQ(out.width, 224);
      EXPECT_EQ(out.height, 224);
      EXPECT_TRUE(std::all_of(out.pixels.begin(), out.pixels.end(), [](int v) { return v >= 90 && v <= 127; }));
    }
  }
}

TEST(ImageProcessorTest, AnImageOfOneColourKeepsIt) {
  for (const int value : {0, 1, 128, 255}) {
    const std::vector<uint8_t> pixels(50 * 40, static_cast<uint8_t>(value));
    const ImageView view{pixels.data(), 50, 40, 50, ChannelOrder::kGray};
    ImageProcessorConfig config = SiglipImages(30);
    for (const auto preset : {ImagePreset::kServer, ImagePreset::kTensorflowEval}) {
      config.preset = preset;
      config.tensorflow_eval = {true, true, true};
      for (const uint8_t v : ImageProcessor(config).Resize(view).pixels) ASSERT_EQ(v, value);
    }
  }
}

TEST(ImageProcessorTest, RotatingTwiceIsTheImage) {
  const Image image = TestImage(7, 4), once = Rotate180(image.view());
  EXPECT_EQ(once.pixels[0], image.pixels[3 * 27]);
  EXPECT_EQ(Rotate180(once.view()).pixels, image.pixels);
}

TEST(ImageProcessorTest, WhatItCannotProcessIsAnError) {
  const ImageProcessor processor(SiglipImages(8));
  EXPECT_EQ(processor.values(), 192);
  EXPECT_THROW(processor.Process({nullptr, 2, 2, 6}), Error);
  const Image image = TestImage(3, 3);
  std::vector<float> out(191);
  try {
    processor.Process(image.view(), out);
    ADD_FAILURE() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("room for 191 values, expected 192"));
  }
  ImageProcessorConfig broken = SiglipImages();
  broken.image_size = -1;
  EXPECT_THROW(ImageProcessor{broken}, Error);
}

}  // namespace
}  // namespace kinetok
