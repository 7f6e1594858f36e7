// Arrays as Python's json_numpy writes them: {"__numpy__": base64 of the elements, row by row, "dtype": "|u1",
// "shape": [480, 640, 3]}.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kinetok/base/json.h"
#include "kinetok/io/image.h"

namespace kinetok {

// An 8-bit image with its memory.
struct PixelArray {
  ImageView view() const;

  std::string bytes;
  int64_t width = 0, height = 0;
  ChannelOrder order = ChannelOrder::kRgb;
};

// A field's string where it lies, for it may be long. Throws Error as object.String(key) does.
const std::string& LongString(const JsonObject& object, const std::string& key);

// "|u1" or "uint8" of [height, width, 3] is RGB, [height, width, 4] RGBA, [height, width] grey. Throws Error naming the
// field for every other array, for more than `max_pixels`, and when the elements are not as many as the shape says.
PixelArray DecodePixels(const JsonObject& array, int64_t max_pixels);

// "<f8" of [values.size()].
OrderedJson EncodeDoubles(std::span<const double> values);

}  // namespace kinetok
