#include "kinetok/io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kinetok/base/json.h"
#include "kinetok/base/sha256.h"
#include "kinetok/io/image_cases.h"
#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using ImageFileTest = TemporaryFolder;

const std::filesystem::path kGolden = std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden";

std::string HashOf(const std::vector<uint8_t>& pixels) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(pixels)));
  return hash.Hex();
}

Image Decode(std::string_view bytes, const ImageDecodeOptions& options = {}) {
  return DecodeImage(std::as_bytes(std::span(bytes.data(), bytes.size())), "picture", options);
}

// As tools/golden/make_image_golden.py read them with Pillow.
TEST(ImageTest, EveryKindOfJpegAndPngHasPillowsPixels) {
  const Json golden = ParseJson(ReadFile(kGolden / "images.json"), "images.json");
  ASSERT_GE(golden.at("cases").size(), 26u);
  for (const Json& c : golden.at("cases")) {
    const std::string file = c.at("file");
    const Image image = ReadImage(kGolden / "images" / file);
    EXPECT_EQ(image.width, c.at("width")) << file;
    EXPECT_EQ(image.height, c.at("height")) << file;
    EXPECT_EQ(HashOf(image.pixels), c.at("pixels")) << file;
  }
}

TEST(ImageTest, OtherKindsOfPicturesAreRefusedByName) {
  const std::pair<const char*, const char*> expected[] = {
      {"cmyk.jpg", "a JPEG in CMYK"}, {"animated.png", "an animated PNG"}, {"sixteen_bits.png", "a PNG of 16 bits"},
      {"picture.gif", "is a GIF"},    {"picture.bmp", "is a BMP"},         {"picture.tiff", "is a TIFF"},
      {"picture.webp", "is a WebP"}};
  for (const auto& [file, error] : expected) {
    const std::filesystem::path path = kGolden / "images" / file;
    const std::string message = ErrorOf([&] { ReadImage(path); });
    EXPECT_THAT(message, StartsWith(path.string() + ": "));
    EXPECT_THAT(message, HasSubstr(error));
  }
}

TEST(ImageTest, EveryMalformedFileIsAnErrorThatNamesIt) {
  for (const ImageCase& c : ImageCases()) {
    const std::string message = ErrorOf([&] { Decode(c.bytes); });
    if (c.error.empty()) {
      EXPECT_EQ(message, "") << c.name;
    } else {
      EXPECT_THAT(message, StartsWith("picture: ")) << c.name;
      EXPECT_THAT(message, HasSubstr(c.error)) << c.name;
    }
  }
}

TEST(ImageTest, AFileCutAnywhereIsAnError) {
  const Image image = TestImage(24, 17);
  for (const std::string& bytes : {EncodeJpeg(image.view()), EncodePng(image.view())}) {
    for (size_t n = 0; n < bytes.size(); ++n) EXPECT_THROW(Decode(bytes.substr(0, n)), Error) << n;
  }
}

TEST(ImageTest, LimitsAreCheckedBeforePixelsTakeMemory) {
  const Image image = TestImage(24, 17);
  const std::string jpeg = EncodeJpeg(image.view()), png = EncodePng(image.view());
  for (const std::string& bytes : {jpeg, png}) {
    EXPECT_EQ(Decode(bytes, {.limits = {.max_pixels = 24 * 17}}).width, 24);
    EXPECT_THAT(ErrorOf([&] { Decode(bytes, {.limits = {.max_pixels = 24 * 17 - 1}}); }),
                HasSubstr("picture: the image says 24 x 17 pixels; the limit is 407"));
    const auto size = static_cast<int64_t>(bytes.size());
    EXPECT_EQ(Decode(bytes, {.limits = {.max_bytes = size}}).height, 17);
    EXPECT_THAT(ErrorOf([&] { Decode(bytes, {.limits = {.max_bytes = size - 1}}); }), HasSubstr("the limit is"));
  }
}

TEST(ImageTest, PngKeepsEveryPixelOfEveryChannelOrder) {
  const Image image = TestImage(5, 3);
  std::vector<uint8_t> bgra;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    for (const size_t c : {2, 1, 0}) bgra.push_back(image.pixels[i + c]);
    bgra.push_back(7);
  }
  EXPECT_EQ(Decode(EncodePng(image.view())).pixels, image.pixels);
  EXPECT_EQ(Decode(EncodePng({bgra.data(), 5, 3, 20, ChannelOrder::kBgra})).pixels, image.pixels);
  const uint8_t grey[] = {1, 2, 99, 3, 4, 99};  // a stride of 3 bytes
  const Image from_grey = CopyToRgb({grey, 2, 2, 3, ChannelOrder::kGray});
  EXPECT_EQ(from_grey.pixels, (std::vector<uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
}

// Index 3 of a palette of two colours, as Pillow and libpng read it.
TEST(ImageTest, APixelBeyondThePaletteIsBlack) {
  for (const ImageCase& c : ImageCases()) {
    if (c.name != "beyond_palette_png") continue;
    EXPECT_EQ(Decode(c.bytes).pixels, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}));
  }
}

TEST(ImageTest, AViewThatCannotBeReadIsAnError) {
  const uint8_t pixels[64] = {};
  const std::pair<ImageView, const char*> cases[] = {
      {{nullptr, 2, 2, 6}, "the pixels of a 2 x 2 image are null"},
      {{pixels, 0, 2, 6}, "the size is 0 x 2, expected sides of 1 to 65536"},
      {{pixels, 2, -1, 6}, "the size is 2 x -1"},
      {{pixels, 65537, 1, 196611}, "the size is 65537 x 1"},
      {{pixels, 2, 2, 5}, "row_stride is 5 bytes, expected at least 6 (2 pixels of 3 bytes)"},
      {{pixels, 2, 2, 6, ChannelOrder::kRgba}, "row_stride is 6 bytes, expected at least 8"},
      {{pixels, 2, 2, -6}, "row_stride is -6"},
      {{pixels, 2, 4, INT64_MAX / 2}, "exceed what can be addressed"},
      {{pixels, 2, 2, 6, static_cast<ChannelOrder>(9)}, "the channel order is 9"}};
  for (const auto& [view, error] : cases) {
    EXPECT_THAT(ErrorOf([&v = view] { EncodePng(v); }), HasSubstr(error));
    EXPECT_THAT(ErrorOf([&v = view] { CopyToRgb(v); }), HasSubstr(error));
  }
}

TEST(ImageTest, AJpegComesCloseAndItsQualityIsChecked) {
  const Image image = TestImage(64, 64);
  const Image back = Decode(EncodeJpeg(image.view(), 100));
  ASSERT_EQ(back.pixels.size(), image.pixels.size());
  double difference = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) difference += std::abs(back.pixels[i] - image.pixels[i]);
  EXPECT_LT(difference / static_cast<double>(image.pixels.size()), 40);  // its colours change from pixel to pixel
  EXPECT_LT(EncodeJpeg(image.view(), 20).size(), EncodeJpeg(image.view(), 95).size());
  for (const int quality : {0, 101}) {
    EXPECT_THAT(ErrorOf([&] { EncodeJpeg(image.view(), quality); }), HasSubstr("quality is"));
  }
  const std::vector<uint8_t> wide(65536);
  EXPECT_THAT(ErrorOf([&] { EncodeJpeg({wide.data(), 65536, 1, 65536, ChannelOrder::kGray}); }), HasSubstr("65500"));
}

TEST_F(ImageFileTest, FilesAreReadAndWrittenByName) {
  const Image image = TestImage(6, 4);
  WritePng(folder() / "a.png", image.view());
  EXPECT_EQ(ReadImage(folder() / "a.png").pixels, image.pixels);
  EXPECT_EQ(Listing(), std::vector<std::string>{"a.png"});
  EXPECT_THAT(ErrorOf([&] { ReadImage(folder() / "b.png"); }), HasSubstr("b.png: cannot be opened"));
  EXPECT_THAT(ErrorOf([&] { ReadImage(folder() / "a.png", {.limits = {.max_bytes = 10}}); }),
              HasSubstr("bytes; the limit is 10"));
  EXPECT_THAT(ErrorOf([&] { WritePng(folder() / "no/such.png", image.view()); }), HasSubstr("cannot be created"));
}

}  // namespace
}  // namespace kinetok
