#include <algorithm>
#include <cstring>

#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // 8 of the result, and room for sums below 0 and above 1

double Cubic(double x) {
  constexpr double a = -0.5;
  if (x < 0) x = -x;
  if (x < 1) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

int64_t Truncate(double x) {
  return static_cast<int64_t>(x);
}

// Which inputs an output is the sum of, and how much of each.
struct Taps {
  int64_t most = 0;  // of any output
  std::vector<int64_t> begin{}, count{};
  std::vector<int32_t> weight{};  // [outputs][most], in units of 2^-22
};

// For the outputs first, ..., first + outputs - 1 of `out` made from `in` inputs.
Taps MakeTaps(int64_t in, int64_t out, int64_t first, int64_t outputs) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), widened = std::max(scale, 1.0),
               support = 2.0 * widened, inverse = 1.0 / widened;
  Taps taps;
  taps.most = std::min(in, 2 * static_cast<int64_t>(support) + 3);
  taps.weight.resize(static_cast<size_t>(outputs * taps.most));
  std::vector<double> weights(static_cast<size_t>(taps.most));
  for (int64_t i = 0; i < outputs; ++i) {
    const double centre = (static_cast<double>(first + i) + 0.5) * scale;
    const auto begin = std::max<int64_t>(0, Truncate(centre - support + 0.5));
    const auto count = std::min(in, Truncate(centre + support + 0.5)) - begin;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      weights[static_cast<size_t>(k)] = Cubic((static_cast<double>(k + begin) - centre + 0.5) * inverse);
      sum += weights[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < count; ++k) {
      double w = weights[static_cast<size_t>(k)];
      if (sum != 0) w /= sum;
      taps.weight[static_cast<size_t>(i * taps.most + k)] =
          static_cast<int32_t>((w < 0 ? -0.5 : 0.5) + w * (1 << kPrecisionBits));
    }
    taps.begin.push_back(begin);
    taps.count.push_back(count);
  }
  return taps;
}

uint8_t Clip(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

// Pixel i of a resized row of RGB.
void ResizePixel(const uint8_t* in, const Taps& taps, int64_t i, uint8_t* out) {
  const uint8_t* p = in + 3 * taps.begin[static_cast<size_t>(i)];
  const int32_t* w = taps.weight.data() + i * taps.most;
  int32_t r = 1 << (kPrecisionBits - 1), g = r, b = r;
  for (int64_t k = 0; k < taps.count[static_cast<size_t>(i)]; ++k) {
    r += p[3 * k] * w[k];
    g += p[3 * k + 1] * w[k];
    b += p[3 * k + 2] * w[k];
  }
  out[0] = Clip(r);
  out[1] = Clip(g);
  out[2] = Clip(b);
}

// Rows first, ..., last - 1 of the padded image, resized across. What lies in the border alone is computed once.
Image ResizeRows(const PaddedImage& image, const Taps& taps, const Window& window, int64_t first, int64_t last) {
  const ImageView& view = image.view;
  Image out(window.columns, last - first);
  std::vector<uint8_t> row(static_cast<size_t>(3 * image.width())), border(static_cast<size_t>(3 * window.columns));
  for (size_t i = 0; i < row.size(); ++i) row[i] = image.fill[i % 3];
  for (int64_t i = 0; i < window.columns; ++i) ResizePixel(row.data(), taps, i, border.data() + 3 * i);
  // The outputs that the view has a part in.
  int64_t begin = 0, end = window.columns;
  while (begin < end && taps.begin[static_cast<size_t>(begin)] + taps.count[static_cast<size_t>(begin)] <= image.left) {
    ++begin;
  }
  while (end > begin && taps.begin[static_cast<size_t>(end - 1)] >= image.left + view.width) --end;

  for (int64_t y = first; y < last; ++y) {
    uint8_t* to = out.row(y - first);
    std::memcpy(to, border.data(), border.size());
    const int64_t inside = y - image.top;
    if (inside < 0 || inside >= view.height) continue;
    const uint8_t* in = row.data();
    if (image.left == 0 && view.order == ChannelOrder::kRgb) {
      in = view.data + inside * view.row_stride;
    } else {
      CopyRgbRow(view, inside, row.data() + 3 * image.left);
    }
    if (image.width() == window.width) {  // the taps are 1 and 0
      std::memcpy(to, in + 3 * window.left, static_cast<size_t>(3 * window.columns));
    } else {
      for (int64_t i = begin; i < end; ++i) ResizePixel(in, taps, i, to + 3 * i);
    }
  }
  return out;
}

}  // namespace

Image ResizeBicubic(const PaddedImage& image, const Window& window) {
  const Taps across = MakeTaps(image.width(), window.width, window.left, window.columns);
  const Taps down = MakeTaps(image.height(), window.height, window.top, window.rows);

  // The rows that any output needs.
  const int64_t first = down.begin.front(), last = down.begin.back() + down.count.back();
  Image middle = ResizeRows(image, across, window, first, last);

  Image out(window.columns, window.rows);
  std::vector<int32_t> sums(static_cast<size_t>(3 * window.columns));
  for (int64_t y = 0; y < window.rows; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (kPrecisionBits - 1));
    for (int64_t k = 0; k < down.count[static_cast<size_t>(y)]; ++k) {
      const int32_t w = down.weight[static_cast<size_t>(y * down.most + k)];
      const uint8_t* in = middle.row(down.begin[static_cast<size_t>(y)] + k - first);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += in[i] * w;
    }
    uint8_t* to = out.row(y);
    for (size_t i = 0; i < sums.size(); ++i) to[i] = Clip(sums[i]);
  }
  return out;
}

}  // namespace kinetok
