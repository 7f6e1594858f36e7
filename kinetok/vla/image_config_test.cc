#include "kinetok/vla/image_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"
#include "kinetok/vla/image_config_cases.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

std::string ErrorOfParsing(const Json& json) {
  try {
    ParseImageProcessorConfig(json, "preprocessor_config.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(ImageConfigTest, TheFileOfOpenVla7bIsRead) {
  const ImageProcessorConfig c = ParseImageProcessorConfig(OpenVlaPreprocessorConfig(), "preprocessor_config.json");
  EXPECT_EQ(c, OpenVlaImages());
  EXPECT_EQ(c.image_size, 224);
  EXPECT_EQ(c.towers[0].mean[1], 0.455078125f);
  EXPECT_EQ(c.means[0][1], 0.456);
  EXPECT_EQ(c.preset, ImagePreset::kServer);
}

TEST(ImageConfigTest, WhatIsWrittenIsTheReferencesFileAndOurPreset) {
  Json written = ImageProcessorConfigToJson(OpenVlaImages());
  EXPECT_EQ(written.at("kinetok_preset"), (Json{{"name", "server"}}));
  written.erase("kinetok_preset");
  EXPECT_EQ(written, OpenVlaPreprocessorConfig());
}

TEST(ImageConfigTest, EveryConfigSurvivesBeingWrittenAndRead) {
  for (ImageProcessorConfig c : {OpenVlaImages(), SiglipImages(30), DinoImages(64)}) {
    for (const auto strategy : {ResizeStrategy::kNaive, ResizeStrategy::kLetterbox, ResizeStrategy::kCrop}) {
      c.strategy = strategy;
      for (const auto preset : {ImagePreset::kServer, ImagePreset::kTensorflowEval}) {
        c.preset = preset;
        c.tensorflow_eval = preset == ImagePreset::kServer ? TensorflowEval{} : TensorflowEval{true, false, true};
        EXPECT_EQ(ParseImageProcessorConfig(Json(ImageProcessorConfigToJson(c)), "x"), c);
      }
    }
  }
}

TEST(ImageConfigTest, DerivedFieldsMayBeAbsent) {
  Json json = OpenVlaPreprocessorConfig();
  for (const char* key : {"tvf_resize_params", "tvf_crop_params", "tvf_normalize_params", "tvf_do_letterbox",
                          "tvf_letterbox_fill", "auto_map"}) {
    json.erase(key);
  }
  const ImageProcessorConfig c = ParseImageProcessorConfig(json, "x");
  EXPECT_EQ(c.towers[0].mean[0], 0.485f);
  EXPECT_EQ(c.towers[1].std[2], 0.5f);
}

TEST(ImageConfigTest, EveryContradictionIsAnErrorThatNamesTheField) {
  for (const ImageConfigCase& c : FaultyImageConfigs()) {
    Json json = OpenVlaPreprocessorConfig();
    if (c.remove) {
      json.erase(c.pointer.substr(1));
    } else {
      json[Json::json_pointer(c.pointer)] = c.value;
    }
    const std::string message = ErrorOfParsing(json);
    EXPECT_THAT(message, HasSubstr("preprocessor_config.json: ")) << c.pointer << " " << c.value;
    EXPECT_THAT(message, HasSubstr(c.error)) << c.pointer << " " << c.value;
  }
  EXPECT_THAT(ErrorOfParsing(Json::array()), HasSubstr("expected a JSON object"));
}

TEST(ImageConfigTest, AConfigPutTogetherByHandIsChecked) {
  const auto error_of = [](const ImageProcessorConfig& config) -> std::string {
    try {
      CheckImageProcessorConfig(config);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  ImageProcessorConfig c = SiglipImages();
  EXPECT_EQ(error_of(c), "");
  c.towers[0].std[1] = 0;
  EXPECT_THAT(error_of(c), HasSubstr("std above 0"));
  c = SiglipImages();
  c.towers.clear();
  EXPECT_THAT(error_of(c), HasSubstr("0 towers, expected 1 or 2"));
  c = SiglipImages();
  c.means.clear();
  EXPECT_THAT(error_of(c), HasSubstr("0 means and 1 stds"));
  EXPECT_THROW(SiglipImages(0), Error);
  EXPECT_THROW(DinoImages(kMaxTowerImageSize + 1), Error);
}

}  // namespace
}  // namespace kinetok
