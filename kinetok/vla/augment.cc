#include "kinetok/vla/augment.h"

#include <algorithm>
#include <array>

#include "kinetok/base/error.h"
#include "kinetok/base/random.h"
#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

using Rgb = std::array<float, 3>;

float Unit(float x) {
  return std::clamp(x, 0.0f, 1.0f);
}

// Hue in [0, 1), saturation and value, as tf.image.rgb_to_hsv.
Rgb ToHsv(const Rgb& c) {
  const float value = std::max({c[0], c[1], c[2]}), range = value - std::min({c[0], c[1], c[2]});
  if (range <= 0) return {0, 0, value};
  float hue;
  if (c[0] == value) {
    hue = (c[1] - c[2]) / (6 * range);
  } else if (c[1] == value) {
    hue = (c[2] - c[0]) / (6 * range) + 1.0f / 3;
  } else {
    hue = (c[0] - c[1]) / (6 * range) + 2.0f / 3;
  }
  return {hue < 0 ? hue + 1 : hue, range / value, value};
}

Rgb FromHsv(const Rgb& hsv) {
  const float sixth = hsv[0] * 6, chroma = hsv[1] * hsv[2], least = hsv[2] - chroma;
  const auto distance = [](float x) { return x < 0 ? -x : x; };
  const float dr = Unit(distance(sixth - 3) - 1), dg = Unit(2 - distance(sixth - 2)),
              db = Unit(2 - distance(sixth - 4));
  return {dr * chroma + least, dg * chroma + least, db * chroma + least};
}

// Uniform in [-1, 1), one a change.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t index) : seed_(seed), index_(index) {}
  float Next() {
    const Philox4 bits = RandomBits(seed_, RandomStream::kAugment, count_++, index_);
    return static_cast<float>(2 * UniformDouble(bits[0], bits[1]) - 1);
  }

 private:
  uint64_t seed_, index_;
  uint32_t count_ = 0;
};

}  // namespace

Augmentation ParseAugmentation(std::string_view name) {
  if (name == "none") return {};
  if (name == "openvla")
    return {.crop_area = 0.9f, .brightness = 0.2f, .contrast = 0.2f, .saturation = 0.2f, .hue = 0.05f};
  if (name == "color") return {.brightness = 0.2f, .contrast = 0.2f, .saturation = 0.2f, .hue = 0.05f};
  Fail("image augmentation is \"{}\", expected none, openvla or color", name);
}

Image Augment(const Image& image, const Augmentation& a, uint64_t seed, uint64_t index) {
  Draws draw(seed, index);
  const float across = (draw.Next() + 1) / 2, down = (draw.Next() + 1) / 2;
  Image out = a.crop_area > 0 ? Crop(image.view(), a.crop_area, across, down) : image;
  const float brightness = a.brightness * draw.Next(), contrast = 1 + a.contrast * draw.Next(),
              saturation = 1 + a.saturation * draw.Next(), hue = a.hue * draw.Next();
  if (a.brightness == 0 && a.contrast == 0 && a.saturation == 0 && a.hue == 0) return out;

  const size_t pixels = out.pixels.size() / 3;
  std::vector<Rgb> values(pixels);
  Rgb mean{};
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0;
    for (size_t i = 0; i < pixels; ++i) {
      values[i][c] = Unit(static_cast<float>(out.pixels[3 * i + c]) / 255 + brightness);
      sum += static_cast<double>(values[i][c]);
    }
    mean[c] = static_cast<float>(sum / static_cast<double>(pixels));
  }
  for (size_t i = 0; i < pixels; ++i) {
    Rgb v = values[i];
    for (size_t c = 0; c < 3; ++c) v[c] = Unit((v[c] - mean[c]) * contrast + mean[c]);
    v = ToHsv(v);
    v[0] += hue;
    if (v[0] < 0) v[0] += 1;
    if (v[0] >= 1) v[0] -= 1;
    v[1] = Unit(v[1] * saturation);
    v = FromHsv(v);
    for (size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = static_cast<uint8_t>(Unit(v[c]) * 255 + 0.5f);
  }
  return out;
}

}  // namespace kinetok
