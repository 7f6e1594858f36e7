// What OpenVLA's evaluation does with TensorFlow: ScaleAndTranslate's Lanczos kernel, and crop_and_resize.
#include <algorithm>
#include <cmath>

#include "kinetok/base/math.h"
#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

constexpr float kRadius = 3.0f, kPi = 3.14159265359f;

float SinFloat(float x) {
  return static_cast<float>(Sin(static_cast<double>(x)));
}

float Lanczos3(float x) {
  if (x > kRadius) return 0;
  if (x <= 1e-3f) return 1;
  return kRadius * SinFloat(kPi * x) * SinFloat(kPi * x / kRadius) / (kPi * kPi * x * x);
}

struct Spans {
  int64_t most = 0;
  std::vector<int64_t> begin{}, count{};
  std::vector<float> weight{};  // [outputs][most]
};

Spans MakeSpans(int64_t in, int64_t out) {
  const float scale = static_cast<float>(out) / static_cast<float>(in), inverse = 1.0f / scale,
              widened = std::max(inverse, 1.0f), one_over_widened = 1.0f / widened;
  Spans spans;
  spans.most = std::min(in, 2 * static_cast<int64_t>(std::ceil(kRadius * widened)) + 1);
  spans.weight.resize(static_cast<size_t>(out * spans.most));
  for (int64_t i = 0; i < out; ++i) {
    const float at = (static_cast<float>(i) + 0.5f) * inverse;
    const auto begin = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(at - kRadius * widened - 0.5f)), 0, in - 1);
    const auto end =
        std::clamp<int64_t>(static_cast<int64_t>(std::floor(at + kRadius * widened - 0.5f)), 0, in - 1) + 1;
    float* weights = spans.weight.data() + i * spans.most;
    const int64_t count = std::min(end - begin, spans.most);
    float sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      const float distance = static_cast<float>(begin + k) + 0.5f - at;
      weights[k] = Lanczos3(std::fabs(distance * one_over_widened));
      sum += weights[k];
    }
    const float one_over_sum = 1.0f / sum;
    for (int64_t k = 0; k < count; ++k) weights[k] *= one_over_sum;
    spans.begin.push_back(begin);
    spans.count.push_back(count);
  }
  return spans;
}

// Half to even, into 0..255. NaN does not occur: weights are finite.
uint8_t RoundToByte(float x) {
  constexpr float kHuge = 0x1.8p23f;
  const float clipped = std::clamp(x, -1.0f, 256.0f);
  return static_cast<uint8_t>(std::clamp((clipped + kHuge) - kHuge, 0.0f, 255.0f));
}

}  // namespace

Image ResizeLanczos3(const ImageView& image, int64_t width, int64_t height) {
  if (image.width == width && image.height == height) return CopyToRgb(image);
  const Spans down = MakeSpans(image.height, height), across = MakeSpans(image.width, width);
  Image out(width, height);
  std::vector<uint8_t> in(static_cast<size_t>(3 * image.width));
  std::vector<float> middle(static_cast<size_t>(3 * image.width));
  for (int64_t y = 0; y < height; ++y) {
    std::fill(middle.begin(), middle.end(), 0.0f);
    for (int64_t k = 0; k < down.count[static_cast<size_t>(y)]; ++k) {
      const float w = down.weight[static_cast<size_t>(y * down.most + k)];
      CopyRgbRow(image, down.begin[static_cast<size_t>(y)] + k, in.data());
      for (size_t i = 0; i < middle.size(); ++i) middle[i] += w * static_cast<float>(in[i]);
    }
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < width; ++x, to += 3) {
      const float* p = middle.data() + 3 * across.begin[static_cast<size_t>(x)];
      const float* w = across.weight.data() + x * across.most;
      float r = 0, g = 0, b = 0;
      for (int64_t k = 0; k < across.count[static_cast<size_t>(x)]; ++k, p += 3) {
        r += w[k] * p[0];
        g += w[k] * p[1];
        b += w[k] * p[2];
      }
      to[0] = RoundToByte(r);
      to[1] = RoundToByte(g);
      to[2] = RoundToByte(b);
    }
  }
  return out;
}

Image Crop(const ImageView& image, float area, float across, float down) {
  const float side = std::sqrt(area);
  const auto place = [side](int64_t i, int64_t size, float where) {
    if (size <= 1) return 0.0f;
    const float offset = (1 - side) * where, end = offset + side, last = static_cast<float>(size - 1);
    return offset * last + static_cast<float>(i) * ((end - offset) * last / last);
  };
  const auto above = [](float at, int64_t size) { return std::min(static_cast<int64_t>(std::ceil(at)), size - 1); };
  Image out(image.width, image.height);
  std::vector<uint8_t> top(static_cast<size_t>(3 * image.width)), bottom(top.size());
  const auto unit = [](uint8_t v) { return static_cast<float>(v) * (1.0f / 255.0f); };
  for (int64_t y = 0; y < image.height; ++y) {
    const float in_y = place(y, image.height, down);
    const auto upper = static_cast<int64_t>(in_y);
    const float y_part = in_y - static_cast<float>(upper);
    CopyRgbRow(image, upper, top.data());
    CopyRgbRow(image, above(in_y, image.height), bottom.data());
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < image.width; ++x) {
      const float in_x = place(x, image.width, across);
      const auto left = static_cast<int64_t>(in_x), right = above(in_x, image.width);
      const float x_part = in_x - static_cast<float>(left);
      for (int64_t c = 0; c < 3; ++c) {
        const auto l = static_cast<size_t>(3 * left + c), r = static_cast<size_t>(3 * right + c);
        const float t = unit(top[l]) + (unit(top[r]) - unit(top[l])) * x_part;
        const float b = unit(bottom[l]) + (unit(bottom[r]) - unit(bottom[l])) * x_part;
        // convert_image_dtype to uint8 multiplies by 255.5 and cuts off.
        *to++ = static_cast<uint8_t>(std::clamp(t + (b - t) * y_part, 0.0f, 1.0f) * 255.5f);
      }
    }
  }
  return out;
}

}  // namespace kinetok
