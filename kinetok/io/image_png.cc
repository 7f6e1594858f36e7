// PNG through libpng: every chunk's checksum is verified, and of the optional chunks none is read.
#include <png.h>

#include <new>
#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/io/image_codec.h"

namespace kinetok {
namespace {

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  static_cast<CodecGuard*>(png_get_error_ptr(png))->Leave(message);
}

// Of chunks that change no pixel.
void OnWarning(png_structp, png_const_charp) {}

uint32_t BigEndian(const std::byte* p) {
  return std::to_integer<uint32_t>(p[0]) << 24 | std::to_integer<uint32_t>(p[1]) << 16 |
         std::to_integer<uint32_t>(p[2]) << 8 | std::to_integer<uint32_t>(p[3]);
}

struct PngHeader {
  int64_t width = 0, height = 0;
  int bit_depth = 0;
};

// The first chunk, and whether an animation follows: what is refused before libpng takes any memory.
PngHeader ReadPngHeader(std::span<const std::byte> bytes, std::string_view source) {
  constexpr size_t kSignature = 8, kFrame = 12, kHeader = 13;  // a chunk: length, type, data, checksum
  const auto type_at = [&](size_t at) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
  };
  if (bytes.size() < kSignature + kFrame + kHeader) {
    Fail("{}: not a whole PNG: {} bytes, expected at least {} of a header", source, bytes.size(),
         kSignature + kFrame + kHeader);
  }
  if (type_at(kSignature) != "IHDR" || BigEndian(bytes.data() + kSignature) != kHeader) {
    Fail("{}: not a PNG: the first chunk is not an IHDR of {} bytes", source, kHeader);
  }
  const std::byte* fields = bytes.data() + kSignature + 8;
  for (size_t at = kSignature; bytes.size() - at >= kFrame && type_at(at) != "IDAT";) {
    if (type_at(at) == "acTL") Fail("{}: an animated PNG, expected a still image", source);
    const size_t length = BigEndian(bytes.data() + at);
    if (length > bytes.size() - at - kFrame) break;
    at += kFrame + length;
  }
  return {BigEndian(fields), BigEndian(fields + 4), std::to_integer<int>(fields[8])};
}

class PngReader {
 public:
  explicit PngReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  const char* message() const { return guard_.message(); }

  bool Read(int64_t width, int64_t height, uint8_t* rgb) {
    return guard_.Guard([this, width, height, rgb] {
      png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &guard_, OnError, OnWarning);
      info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
      if (info_ == nullptr) guard_.Leave("libpng cannot be started");
      png_set_read_fn(png_, this, &PngReader::ReadBytes);
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are checked already
      png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      png_read_info(png_, info_);
      const int color = png_get_color_type(png_, info_);
      if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
      if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
      if ((color & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
      png_set_strip_alpha(png_);
      const int passes = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
      if (png_get_rowbytes(png_, info_) != static_cast<size_t>(3 * width)) guard_.Leave("rows of an unexpected length");
      for (int pass = 0; pass < passes; ++pass) {
        for (int64_t y = 0; y < height; ++y) png_read_row(png_, rgb + 3 * width * y, nullptr);
      }
      png_read_end(png_, nullptr);
    });
  }

 private:
  static void ReadBytes(png_structp png, png_bytep out, size_t size) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > self->bytes_.size()) self->guard_.Leave("the file is cut short");
    std::memcpy(out, self->bytes_.data(), size);
    self->bytes_ = self->bytes_.subspan(size);
  }

  std::span<const std::byte> bytes_;  // what is not read yet
  CodecGuard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

class PngWriter {
 public:
  PngWriter() = default;
  ~PngWriter() { png_destroy_write_struct(&png_, &info_); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  const char* message() const { return guard_.message(); }
  std::string& bytes() { return bytes_; }

  // `row` has room for a row of RGB.
  bool Write(const ImageView& view, uint8_t* row) {
    return guard_.Guard([this, &view, row] {
      png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &guard_, OnError, OnWarning);
      info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
      if (info_ == nullptr) guard_.Leave("libpng cannot be started");
      png_set_write_fn(png_, this, &PngWriter::WriteBytes, nullptr);
      png_set_IHDR(png_, info_, static_cast<png_uint_32>(view.width), static_cast<png_uint_32>(view.height), 8,
                   PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
      png_write_info(png_, info_);
      for (int64_t y = 0; y < view.height; ++y) {
        CopyRgbRow(view, y, row);
        png_write_row(png_, row);
      }
      png_write_end(png_, nullptr);
    });
  }

 private:
  // An exception must not cross libpng's frames.
  static bool Append(std::string* out, png_const_bytep data, size_t size) try {
    out->append(reinterpret_cast<const char*>(data), size);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
  static void WriteBytes(png_structp png, png_bytep data, size_t size) {
    auto* self = static_cast<PngWriter*>(png_get_io_ptr(png));
    if (!Append(&self->bytes_, data, size)) self->guard_.Leave("out of memory");
  }

  std::string bytes_;
  CodecGuard guard_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

Image DecodePng(std::span<const std::byte> bytes, std::string_view source, const ImageLimits& limits) {
  const PngHeader header = ReadPngHeader(bytes, source);
  CheckImageSize(header.width, header.height, limits, source);
  if (header.bit_depth > 8) {
    Fail("{}: a PNG of {} bits a sample, expected at most 8: convert it", source, header.bit_depth);
  }
  Image out(header.width, header.height);
  PngReader png(bytes);
  if (!png.Read(header.width, header.height, out.pixels.data())) {
    Fail("{}: not a whole PNG: {}", source, png.message());
  }
  return out;
}

std::string EncodePng(const ImageView& view) {
  CheckImageView(view);
  std::vector<uint8_t> row(static_cast<size_t>(3 * view.width));
  PngWriter png;
  if (!png.Write(view, row.data())) Fail("image: cannot be written as a PNG: {}", png.message());
  return std::move(png.bytes());
}

}  // namespace kinetok
