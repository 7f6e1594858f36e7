#include "kinetok/io/plot.h"

#include <cairo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "kinetok/io/io_test_files.h"

// Fontconfig keeps what cairo asked it for; under AddressSanitizer that is not our leak.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libfontconfig\n";
}

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr uint32_t kFirst = 0x0072b2, kSecond = 0xd55e00;  // the colours of the first two series

class PlotTest : public TemporaryFolder {
 protected:
  // How many pixels of each colour the chart's PNG has outside the legend's names.
  std::map<uint32_t, int> Pixels(const LineChart& chart) {
    WriteChartPng(chart, folder() / "c.png");
    cairo_surface_t* png = cairo_image_surface_create_from_png((folder() / "c.png").c_str());
    EXPECT_EQ(cairo_surface_status(png), CAIRO_STATUS_SUCCESS);
    EXPECT_EQ(cairo_image_surface_get_width(png), chart.width);
    EXPECT_EQ(cairo_image_surface_get_height(png), chart.height);
    std::map<uint32_t, int> count;
    const unsigned char* data = cairo_image_surface_get_data(png);
    for (int y = 0; y < chart.height; ++y) {
      const auto* row = reinterpret_cast<const uint32_t*>(data + y * cairo_image_surface_get_stride(png));
      for (int x = 0; x < chart.width; ++x) ++count[row[x] & 0xffffff];
    }
    cairo_surface_destroy(png);
    return count;
  }
};

LineChart TwoLines() {
  LineChart chart{.title = "Loss", .x_label = "step", .y_label = "nats"};
  chart.series = {{.name = "train"}, {.name = "validation"}};
  for (int i = 0; i < 100; ++i) {
    chart.series[0].x.push_back(i);
    chart.series[0].y.push_back(4 * std::exp(-i / 20.0));
    chart.series[1].x.push_back(i);
    chart.series[1].y.push_back(1 + 4 * std::exp(-i / 25.0));
  }
  return chart;
}

TEST_F(PlotTest, DrawsEverySeriesInItsColour) {
  const auto pixels = Pixels(TwoLines());
  EXPECT_GT(pixels.at(kFirst), 500);
  EXPECT_GT(pixels.at(kSecond), 500);
  EXPECT_GT(pixels.at(0xffffff), 400000);
}

TEST_F(PlotTest, TheSameChartGivesTheSameBytes) {
  WriteChartPng(TwoLines(), folder() / "a.png");
  WriteChartPng(TwoLines(), folder() / "b.png");
  EXPECT_EQ(ReadFile(folder() / "a.png"), ReadFile(folder() / "b.png"));
  EXPECT_THAT(ReadFile(folder() / "a.png"), StartsWith("\x89PNG"));
}

TEST_F(PlotTest, WritesVectorsToo) {
  WriteChartSvg(TwoLines(), folder() / "c.svg");
  const std::string svg = ReadFile(folder() / "c.svg");
  EXPECT_THAT(svg, HasSubstr("<svg"));
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_GT(svg.size(), 5000u);
}

TEST_F(PlotTest, ALonePointIsVisible) {
  EXPECT_GT(Pixels({.series = {{.x = {3}, .y = {7}}}})[kFirst], 20);
  EXPECT_GT(Pixels({.series = {{.x = {3}, .y = {0}}}, .log_x = true})[kFirst], 20);
}

TEST_F(PlotTest, AConstantSeriesIsALineAcross) {
  EXPECT_GT(Pixels({.series = {{.x = {0, 1000}, .y = {2.5, 2.5}}}})[kFirst], 700);
}

TEST_F(PlotTest, PointsThatAreNotFiniteBreakTheLineOnly) {
  LineChart chart{.series = {{.x = {0, 1, 2, 3}, .y = {1, 1, 1, 1}}}};
  const int whole = Pixels(chart)[kFirst];
  for (const double bad : {kNan, kInf, -kInf}) {
    chart.series[0].y[1] = bad;
    const int broken = Pixels(chart)[kFirst];
    EXPECT_GT(broken, whole / 4);
    EXPECT_LT(broken, whole / 2);
  }
}

TEST_F(PlotTest, ALogarithmicAxisLeavesOutZeroAndBelow) {
  const LineChart chart{.series = {{.x = {0, -1}, .y = {1, 2}}}, .log_x = true};
  EXPECT_EQ(Pixels(chart).count(kFirst), 0u);
  EXPECT_GT(Pixels({.series = {{.x = {0, 1, 10, 100}, .y = {9, 1, 1, 1}}}, .log_x = true})[kFirst], 700);
}

TEST_F(PlotTest, NothingToShowIsAnEmptyChart) {
  EXPECT_EQ(Pixels({}).count(kFirst), 0u);
  EXPECT_EQ(Pixels({.series = {{.name = "x"}, {.x = {kNan}, .y = {kNan}}}}).count(kSecond), 0u);
}

TEST_F(PlotTest, ExtremeValuesAreDrawnOrLeftOut) {
  for (const double v : {1e-320, 1e-30, 1e17, 1e299, 1.7e308}) {
    EXPECT_NO_THROW(Pixels({.series = {{.x = {v, 2 * v, 3 * v}, .y = {-v, v, v}}}})) << v;
    EXPECT_NO_THROW(Pixels({.series = {{.x = {v, 2 * v}, .y = {1, 1 + 1e-16}}}, .log_x = true})) << v;
  }
}

TEST_F(PlotTest, WhatCannotBeDrawnIsAnError) {
  const auto error = [&](const LineChart& c) { return ErrorOf([&] { WriteChartPng(c, folder() / "c.png"); }); };
  EXPECT_THAT(error({.series = {{.name = "a", .x = {1, 2}, .y = {1}}}}), HasSubstr("\"a\" has 2 x and 1 y values"));
  EXPECT_THAT(error({.width = 0}), HasSubstr("0 x 600 pixels"));
  EXPECT_THAT(error({.title = "\xff\xfe"}), HasSubstr("cannot be drawn"));
  EXPECT_THAT(ErrorOf([&] { WriteChartSvg({.title = "\xff\xfe"}, folder() / "c.svg"); }), HasSubstr("cannot be drawn"));
  EXPECT_THAT(ErrorOf([&] { WriteChartSvg({}, folder() / "absent" / "c.svg"); }), HasSubstr("cannot be created"));
  EXPECT_THAT(Listing(), ElementsAre());
}

TEST(NiceTicksTest, AreRoundNumbersInsideTheRange) {
  EXPECT_THAT(NiceTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(NiceTicks(-1, 1, 4), ElementsAre(-1, -0.5, 0, 0.5, 1));
  EXPECT_THAT(NiceTicks(3, 97, 5), ElementsAre(20, 40, 60, 80));
  EXPECT_THAT(NiceTicks(1, 1, 5), ElementsAre());
  EXPECT_THAT(NiceTicks(0, kInf, 5), ElementsAre());
}

}  // namespace
}  // namespace kinetok
