#include "kinetok/io/image.h"

#include <cstring>
#include <system_error>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/image_codec.h"

namespace kinetok {
namespace {

bool StartsWith(std::string_view text, std::string_view magic, size_t at = 0) {
  return text.size() >= at && text.substr(at).starts_with(magic);
}

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8), kJpegSignature("\xff\xd8\xff", 3);

// What the first bytes of a file that is neither JPEG nor PNG look like.
std::string DescribeFormat(std::string_view bytes) {
  if (StartsWith(bytes, "\x89PNG")) return "a PNG whose signature is damaged (sent as text?)";
  if (StartsWith(bytes, "GIF87a") || StartsWith(bytes, "GIF89a")) return "a GIF";
  if (StartsWith(bytes, "RIFF") && StartsWith(bytes, "WEBP", 8)) return "a WebP";
  if (StartsWith(bytes, std::string_view("II*\0", 4)) || StartsWith(bytes, std::string_view("MM\0*", 4))) {
    return "a TIFF";
  }
  if (StartsWith(bytes, "ftypavif", 4)) return "an AVIF";
  if (StartsWith(bytes, "ftyphei", 4) || StartsWith(bytes, "ftypmif", 4)) return "a HEIF";
  if (StartsWith(bytes, "BM")) return "a BMP";
  std::string hex;
  for (const char c : bytes.substr(0, 8)) hex += fmt::format(" {:02x}", static_cast<unsigned char>(c));
  return "of an unknown format; it begins with" + hex;
}

}  // namespace

ChannelLayout LayoutOf(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::kRgb:
      return {3, 0, 1, 2};
    case ChannelOrder::kBgr:
      return {3, 2, 1, 0};
    case ChannelOrder::kRgba:
      return {4, 0, 1, 2};
    case ChannelOrder::kBgra:
      return {4, 2, 1, 0};
    case ChannelOrder::kGray:
      return {1, 0, 0, 0};
  }
  Fail("image: the channel order is {}, expected one of ChannelOrder", static_cast<int>(order));
}

void CheckImageView(const ImageView& view) {
  const int64_t bytes = LayoutOf(view.order).bytes;
  if (view.width < 1 || view.height < 1 || view.width > kMaxImageSide || view.height > kMaxImageSide) {
    Fail("image: the size is {} x {}, expected sides of 1 to {} pixels", view.width, view.height, kMaxImageSide);
  }
  if (view.data == nullptr) Fail("image: the pixels of a {} x {} image are null", view.width, view.height);
  if (view.row_stride < view.width * bytes) {
    Fail("image: row_stride is {} bytes, expected at least {} ({} pixels of {} bytes)", view.row_stride,
         view.width * bytes, view.width, bytes);
  }
  if (!CheckedMul(view.row_stride, view.height)) {
    Fail("image: {} rows of {} bytes exceed what can be addressed", view.height, view.row_stride);
  }
}

void CopyRgbRow(const ImageView& view, int64_t y, uint8_t* rgb) {
  const ChannelLayout layout = LayoutOf(view.order);
  const uint8_t* in = view.data + y * view.row_stride;
  if (view.order == ChannelOrder::kRgb) {
    std::memcpy(rgb, in, static_cast<size_t>(3 * view.width));
    return;
  }
  for (int64_t x = 0; x < view.width; ++x, in += layout.bytes, rgb += 3) {
    rgb[0] = in[layout.red];
    rgb[1] = in[layout.green];
    rgb[2] = in[layout.blue];
  }
}

Image CopyToRgb(const ImageView& view) {
  CheckImageView(view);
  Image out(view.width, view.height);
  for (int64_t y = 0; y < view.height; ++y) CopyRgbRow(view, y, out.row(y));
  return out;
}

void CheckImageSize(int64_t width, int64_t height, const ImageLimits& limits, std::string_view source) {
  if (width < 1 || height < 1) Fail("{}: the image says {} x {} pixels, expected at least one", source, width, height);
  const auto pixels = CheckedMul(width, height);
  if (!pixels || *pixels > limits.max_pixels || width > kMaxImageSide || height > kMaxImageSide) {
    Fail("{}: the image says {} x {} pixels; the limit is {} in all, {} a side", source, width, height,
         limits.max_pixels, kMaxImageSide);
  }
}

Image DecodeImage(std::span<const std::byte> bytes, std::string_view source, const ImageDecodeOptions& options) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) Fail("{}: the file is empty, expected a JPEG or a PNG", source);
  if (static_cast<uint64_t>(bytes.size()) > static_cast<uint64_t>(options.limits.max_bytes)) {
    Fail("{}: the file has {} bytes; the limit is {}", source, bytes.size(), options.limits.max_bytes);
  }
  if (StartsWith(text, kJpegSignature)) return DecodeJpeg(bytes, source, options);
  if (StartsWith(text, kPngSignature)) return DecodePng(bytes, source, options.limits);
  Fail("{}: the file is {}, expected a JPEG or a PNG", source, DescribeFormat(text));
}

Image ReadImage(const std::filesystem::path& path, const ImageDecodeOptions& options) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > static_cast<uint64_t>(options.limits.max_bytes)) {
    Fail("{}: the file has {} bytes; the limit is {}", path.string(), size, options.limits.max_bytes);
  }
  const std::string bytes = ReadFile(path);
  return DecodeImage(std::as_bytes(std::span(bytes.data(), bytes.size())), path.string(), options);
}

void WritePng(const std::filesystem::path& path, const ImageView& view) {
  WriteFileAtomically(path, EncodePng(view));
}

}  // namespace kinetok
