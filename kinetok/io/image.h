// 8-bit images: JPEG and PNG read to RGB, and written. The pixels are those of Pillow's Image.open(f).convert("RGB"):
// grey becomes RGB, alpha and tRNS are dropped (not composited), gamma and EXIF orientation are ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

enum class ChannelOrder { kRgb, kBgr, kRgba, kBgra, kGray };

// Bytes of a pixel, and where its red, green and blue lie among them.
struct ChannelLayout {
  int64_t bytes, red, green, blue;
};
ChannelLayout LayoutOf(ChannelOrder order);

// Somebody else's pixels, not copied: row y begins at data + y * row_stride.
struct ImageView {
  const uint8_t* data = nullptr;
  int64_t width = 0, height = 0;
  int64_t row_stride = 0;  // in bytes
  ChannelOrder order = ChannelOrder::kRgb;
};

inline constexpr int64_t kMaxImageSide = 65536;

// Throws Error unless the view has pixels, sides of at most kMaxImageSide, and rows that do not overlap.
void CheckImageView(const ImageView& view);

// Row y of a valid view as width * 3 bytes of RGB.
void CopyRgbRow(const ImageView& view, int64_t y, uint8_t* rgb);

// RGB without gaps: pixel (x, y) begins at pixels[3 * (y * width + x)].
struct Image {
  Image() = default;
  Image(int64_t w, int64_t h) : width(w), height(h), pixels(static_cast<size_t>(w * h * 3)) {}
  ImageView view() const { return {pixels.data(), width, height, 3 * width, ChannelOrder::kRgb}; }
  uint8_t* row(int64_t y) { return pixels.data() + 3 * width * y; }

  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels{};
};

Image CopyToRgb(const ImageView& view);

// What a file may claim before memory is taken for its pixels.
struct ImageLimits {
  int64_t max_pixels = int64_t{8192} * 8192;
  int64_t max_bytes = int64_t{1} << 28;  // of the encoded file
};

// The inverse transform of a JPEG. kFast is less exact; TensorFlow's decode_image and decode_jpeg use it.
enum class JpegTransform { kAccurate, kFast };

struct ImageDecodeOptions {
  ImageLimits limits{};
  JpegTransform transform = JpegTransform::kAccurate;
};

// A JPEG (baseline or progressive; grey, YCbCr or RGB) or a PNG of at most 8 bits a sample. Throws Error naming
// `source` for everything else: another format, a file that is cut short or damaged in any way that libjpeg or libpng
// notice, 16 bits a sample, CMYK, an animation, sizes beyond the limits.
Image DecodeImage(std::span<const std::byte> bytes, std::string_view source = "image", const ImageDecodeOptions& = {});
Image ReadImage(const std::filesystem::path& path, const ImageDecodeOptions& = {});

// Baseline JPEG, 4:2:0, as libjpeg's defaults and TensorFlow's encode_jpeg make it; 1 <= quality <= 100.
std::string EncodeJpeg(const ImageView& view, int quality = 95);

std::string EncodePng(const ImageView& view);
// The file is written whole or not at all.
void WritePng(const std::filesystem::path& path, const ImageView& view);

}  // namespace kinetok
