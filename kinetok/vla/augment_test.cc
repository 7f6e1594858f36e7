#include "kinetok/vla/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

Image Drawn() {
  Image image(24, 16);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(60 + i * i * 31 % 140);
  return image;
}

std::array<double, 3> Means(const Image& image) {
  std::array<double, 3> sum{};
  for (size_t i = 0; i < image.pixels.size(); ++i) sum[i % 3] += image.pixels[i];
  for (double& s : sum) s /= static_cast<double>(image.width * image.height);
  return sum;
}

// Python's colorsys.rgb_to_hsv in double: the plain twin.
std::array<double, 3> Hsv(const uint8_t* p) {
  const double r = p[0] / 255.0, g = p[1] / 255.0, b = p[2] / 255.0;
  const double most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, most};
  const double rc = (most - r) / (most - least), gc = (most - g) / (most - least), bc = (most - b) / (most - least);
  const double h = r == most ? bc - gc : g == most ? 2 + rc - bc : 4 + gc - rc;
  return {h / 6 - std::floor(h / 6), (most - least) / most, most};
}

TEST(AugmentTest, WithoutAnyChangeThePixelsStay) {
  EXPECT_EQ(Augment(Drawn(), {}, 1, 2).pixels, Drawn().pixels);
}

TEST(AugmentTest, DrawsAreAFunctionOfSeedAndIndex) {
  const Augmentation all = ParseAugmentation("openvla");
  EXPECT_EQ(Augment(Drawn(), all, 1, 2).pixels, Augment(Drawn(), all, 1, 2).pixels);
  EXPECT_NE(Augment(Drawn(), all, 1, 2).pixels, Augment(Drawn(), all, 1, 3).pixels);
  EXPECT_NE(Augment(Drawn(), all, 1, 2).pixels, Augment(Drawn(), all, 2, 2).pixels);
}

TEST(AugmentTest, BrightnessShiftsEveryChannelByTheSameUpToItsBound) {
  double least = 1e9, most = -1e9;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto before = Means(Drawn()), after = Means(Augment(Drawn(), {.brightness = 0.2f}, 5, i));
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(after[c] - before[c], after[0] - before[0], 1.0);
    least = std::min(least, after[0] - before[0]);
    most = std::max(most, after[0] - before[0]);
  }
  EXPECT_GT(least, -0.2 * 255 - 1);
  EXPECT_LT(least, -0.15 * 255);
  EXPECT_LT(most, 0.2 * 255 + 1);
  EXPECT_GT(most, 0.15 * 255);
}

TEST(AugmentTest, ContrastKeepsTheMeanOfEachChannelAndScalesTheRest) {
  for (uint64_t i = 0; i < 20; ++i) {
    const Image before = Drawn(), after = Augment(before, {.contrast = 0.2f}, 5, i);
    const auto mean = Means(before), now = Means(after);
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(now[c], mean[c], 0.5);
    const double factor = (after.pixels[0] - now[0]) / (before.pixels[0] - mean[0]);
    EXPECT_GT(factor, 0.78);
    EXPECT_LT(factor, 1.22);
    for (size_t p = 0; p < before.pixels.size(); ++p) {
      EXPECT_NEAR(after.pixels[p] - now[p % 3], factor * (before.pixels[p] - mean[p % 3]), 3);
    }
  }
}

TEST(AugmentTest, HueAndSaturationChangeOnlyThemselves) {
  for (uint64_t i = 0; i < 20; ++i) {
    const Image before = Drawn(), turned = Augment(before, {.hue = 0.05f}, 5, i),
                faded = Augment(before, {.saturation = 0.2f}, 5, i);
    double turn = 9;
    for (size_t p = 0; p < before.pixels.size(); p += 3) {
      const auto was = Hsv(&before.pixels[p]), t = Hsv(&turned.pixels[p]), f = Hsv(&faded.pixels[p]);
      EXPECT_NEAR(t[2], was[2], 0.004);
      EXPECT_NEAR(f[2], was[2], 0.004);
      if (was[1] < 0.3 || was[2] < 0.3) continue;  // where 8 bits still tell a hue
      EXPECT_NEAR(t[1], was[1], 0.02);
      EXPECT_NEAR(std::remainder(f[0] - was[0], 1.0), 0, 0.02);
      const double by = std::remainder(t[0] - was[0], 1.0);
      EXPECT_LT(std::abs(by), 0.07);
      if (turn == 9) turn = by;
      EXPECT_NEAR(by, turn, 0.03);
    }
  }
}

TEST(AugmentTest, ACropOfThreePartsOfTenMagnifiesAndCanLieAnywhere) {
  Image slope(40, 40);  // red tells the column, green the row
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 40; ++x) {
      slope.row(y)[3 * x] = static_cast<uint8_t>(x * 6);
      slope.row(y)[3 * x + 1] = static_cast<uint8_t>(y * 6);
    }
  }
  double left = 255, top = 255, right = 0;
  for (uint64_t i = 0; i < 50; ++i) {
    const Image part = Augment(slope, {.crop_area = 0.25f}, 3, i);
    EXPECT_NEAR(part.pixels[3 * 39] - part.pixels[0], 39 * 6 / 2, 2);  // half the width
    left = std::min<double>(left, part.pixels[0]);
    top = std::min<double>(top, part.pixels[1]);
    right = std::max<double>(right, part.pixels[3 * 39]);
  }
  EXPECT_LT(left, 20);
  EXPECT_LT(top, 20);
  EXPECT_GT(right, 215);
}

TEST(AugmentTest, AnUnknownNameIsTold) {
  EXPECT_THROW(ParseAugmentation("strong"), Error);
}

}  // namespace
}  // namespace kinetok
