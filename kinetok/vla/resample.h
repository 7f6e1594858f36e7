// Changing an image's size, each the way of one library, to the last bit where that library's own arithmetic is fixed.
// Every result depends on the pixels alone: integers, or floats added in the order of the source.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kinetok/io/image.h"

namespace kinetok {

// An image with `left` columns and `top` rows of one colour on either side.
struct PaddedImage {
  ImageView view{};
  int64_t left = 0, top = 0;
  std::array<uint8_t, 3> fill{};

  int64_t width() const { return view.width + 2 * left; }
  int64_t height() const { return view.height + 2 * top; }
};

// Of an image resized to width x height, the part that is kept.
struct Window {
  int64_t width, height;  // of the whole
  int64_t left, top, columns, rows;
};

// Pillow's Image.resize(BICUBIC) of RGB: the cubic of Keys 1981 with a = -0.5, widened when shrinking, coefficients of
// 22 bits, rows first, and 8 bits between the two passes. The bits of Pillow up to 12, which OpenVLA was trained with;
// Pillow 13 takes columns first where the height shrinks much more than the width, which changes pixels by up to 2.
Image ResizeBicubic(const PaddedImage& image, const Window& window);

// tf.image.resize(method="lanczos3", antialias=True), rounded half to even and clipped to 8 bits: float32 arithmetic,
// columns first. The sine is the nearest float, TensorFlow's that of its C library: of 60 pictures 56 had the bits of
// TensorFlow 2.21, the others one value that was one off.
Image ResizeLanczos3(const ImageView& image, int64_t width, int64_t height);

// A part of the image, of `area` (0 < area <= 1) of its pixels, brought back to its size by tf.image.crop_and_resize
// (bilinear) in [0, 1]. `across` and `down` in [0, 1] say where it lies: 0 at the left and the top, 0.5 in the middle,
// where OpenVLA's evaluation takes it with area 0.9.
Image Crop(const ImageView& image, float area, float across = 0.5f, float down = 0.5f);

Image Rotate180(const ImageView& image);

}  // namespace kinetok
