#include "kinetok/io/picture.h"

#include <cairo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint32_t kDark = 0x004488, kBar = 0x0072b2;  // of a cell with value 1, of a bar

class PictureTest : public TemporaryFolder {
 protected:
  struct Image {
    int width = 0, height = 0;
    std::map<uint32_t, int> pixels;  // by colour
  };
  Image Draw(const Picture& picture) {
    WritePicturePng(picture, folder() / "p.png");
    cairo_surface_t* png = cairo_image_surface_create_from_png((folder() / "p.png").c_str());
    EXPECT_EQ(cairo_surface_status(png), CAIRO_STATUS_SUCCESS);
    Image image{cairo_image_surface_get_width(png), cairo_image_surface_get_height(png), {}};
    const unsigned char* data = cairo_image_surface_get_data(png);
    for (int y = 0; y < image.height; ++y) {
      const auto* row = reinterpret_cast<const uint32_t*>(data + y * cairo_image_surface_get_stride(png));
      for (int x = 0; x < image.width; ++x) ++image.pixels[row[x] & 0xffffff];
    }
    cairo_surface_destroy(png);
    return image;
  }
  void ExpectError(const Picture& picture, const std::string& message) {
    try {
      WritePicturePng(picture, folder() / "e.png");
      ADD_FAILURE() << "no error: " << message;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
    EXPECT_FALSE(std::filesystem::exists(folder() / "e.png"));
  }
};

HeatMap Map(std::vector<std::vector<double>> values) {
  HeatMap map{.title = "map", .rows = {}, .columns = {}, .values = std::move(values)};
  for (size_t r = 0; r < map.values.size(); ++r) map.rows.push_back("r" + std::to_string(r));
  for (size_t c = 0; c < map.values[0].size(); ++c) map.columns.push_back("c" + std::to_string(c));
  return map;
}

TEST_F(PictureTest, ACellIsAsDarkAsItsValue) {
  const Image one = Draw({.title = "t", .maps = {Map({{1, 0}, {0, 0.5}})}});
  const Image three = Draw({.title = "t", .maps = {Map({{1, 1}, {0, 1}})}});
  EXPECT_GT(one.pixels.at(kDark), 400);  // a cell is at least 28 pixels wide, less its edges
  EXPECT_NEAR(three.pixels.at(kDark), 3 * one.pixels.at(kDark), 60);
  const auto half = one.pixels.find(0x80a2c4);
  ASSERT_NE(half, one.pixels.end());
  EXPECT_NEAR(half->second, one.pixels.at(kDark), 60);
}

TEST_F(PictureTest, HiddenCellsAreHatched) {
  HeatMap map = Map({{0, 0}, {0, 0}});
  const Image plain = Draw({.title = "", .maps = {map}});
  map.hidden = {{false, true}, {false, false}};
  const Image hatched = Draw({.title = "", .maps = {map}});
  EXPECT_LT(hatched.pixels.at(0xffffff), plain.pixels.at(0xffffff));
}

TEST_F(PictureTest, ABarIsAsLongAsItsValue) {
  const Image image = Draw({.title = "t", .charts = {{.title = "c", .labels = {"a", "b"}, .values = {0.25, 0.75}}}});
  const Image full = Draw({.title = "t", .charts = {{.title = "c", .labels = {"a"}, .values = {1}}}});
  EXPECT_GT(full.pixels.at(kBar), 2000);
  EXPECT_NEAR(image.pixels.at(kBar), full.pixels.at(kBar), 100);
}

TEST_F(PictureTest, PanelsStandSideBySideWhileTheyFit) {
  const HeatMap map = Map({{1, 0}, {0, 1}});
  const Image one = Draw({.title = "", .maps = {map}}), two = Draw({.title = "", .maps = {map, map}});
  EXPECT_GT(two.width, one.width);
  EXPECT_EQ(two.height, one.height);
  const Image stacked = Draw({.title = "", .maps = {map, map}, .columns = 1});
  EXPECT_EQ(stacked.width, one.width);
  EXPECT_GT(stacked.height, one.height);
  const Image many = Draw({.title = "", .maps = std::vector<HeatMap>(30, map)});
  EXPECT_LE(many.width, 1100);
}

TEST_F(PictureTest, KoreanLabelsAreDrawnOrReported) {
  HeatMap map = Map({{1}});
  EXPECT_EQ(WritePicturePng({.title = "", .maps = {map}}, folder() / "a.png"), "");
  map.rows = {"고양이"};
  const std::string lacking = WritePicturePng({.title = "", .maps = {map}}, folder() / "k.png");
  EXPECT_TRUE(lacking.empty() || lacking == "고양이") << lacking;
  // No font has a private character.
  map.rows = {"\xF4\x8F\xBF\xBD"};
  EXPECT_EQ(WritePicturePng({.title = "", .maps = {map}}, folder() / "p.png"), map.rows[0]);
}

TEST_F(PictureTest, AnSvgHoldsTheSamePicture) {
  WritePictureSvg({.title = "t", .maps = {Map({{1}})}}, folder() / "p.svg");
  const std::string svg = ReadFile(folder() / "p.svg");
  EXPECT_THAT(svg, StartsWith("<?xml"));
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_THAT(svg, HasSubstr("26.7%"));  // kDark's green
}

TEST_F(PictureTest, WhatCannotBeDrawnIsAnError) {
  ExpectError({.title = "t"}, "e.png: a picture without panels");
  HeatMap map = Map({{1, 0}, {0, 1}});
  map.values[1].pop_back();
  ExpectError({.title = "t", .maps = {map}}, "map \"map\" does not have a value for each of 2 x 2 labels");
  map = Map({{1, 0}, {0, 1}});
  map.hidden = {{true, true}};
  ExpectError({.title = "t", .maps = {map}}, "map \"map\"");
  ExpectError({.title = "t", .charts = {{.title = "c", .labels = {"a"}, .values = {}}}},
              "chart \"c\" has 1 labels and 0 values");
  ExpectError({.title = "t", .maps = std::vector<HeatMap>(500, Map({{1}})), .columns = 1}, "show less at a time");
  EXPECT_THROW(WritePicturePng({.title = "", .maps = {Map({{1}})}}, folder() / "nowhere" / "p.png"), Error);
}

}  // namespace
}  // namespace kinetok
