#include "kinetok/vla/resample.h"

#include <cstring>

namespace kinetok {

Image Rotate180(const ImageView& image) {
  Image out(image.width, image.height);
  std::vector<uint8_t> row(static_cast<size_t>(3 * image.width));
  for (int64_t y = 0; y < image.height; ++y) {
    CopyRgbRow(image, image.height - 1 - y, row.data());
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < image.width; ++x) std::memcpy(to + 3 * x, row.data() + 3 * (image.width - 1 - x), 3);
  }
  return out;
}

}  // namespace kinetok
