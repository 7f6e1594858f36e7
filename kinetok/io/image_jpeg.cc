// JPEG through libjpeg(-turbo), with its defaults: accurate inverse transform, smooth chroma upsampling.
#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/io/image_codec.h"

namespace kinetok {
namespace {

// A progressive file of a few bytes a scan could otherwise keep the decoder busy for hours.
constexpr int kMaxScans = 500;

struct ErrorManager : jpeg_error_mgr, CodecGuard {};

[[noreturn]] void OnError(j_common_ptr info) {
  char message[JMSG_LENGTH_MAX];
  info->err->format_message(info, message);
  static_cast<ErrorManager*>(info->err)->Leave(message);
}

// Level -1 is a warning: data is missing or damaged, and libjpeg would go on with grey.
void OnMessage(j_common_ptr info, int level) {
  if (level < 0) OnError(info);
}

void OnProgress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
    static_cast<ErrorManager*>(info->err)->Leave("more than 500 scans");
  }
}

void Prepare(ErrorManager* errors) {
  jpeg_std_error(errors);
  errors->error_exit = OnError;
  errors->emit_message = OnMessage;
}

class Decompressor {
 public:
  explicit Decompressor(std::span<const std::byte> bytes) : bytes_(bytes) {
    Prepare(&errors_);
    info_.err = &errors_;
    progress_.progress_monitor = OnProgress;
  }
  ~Decompressor() { jpeg_destroy_decompress(&info_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  const jpeg_decompress_struct& info() const { return info_; }
  const char* message() const { return errors_.message(); }

  bool ReadHeader() {
    return errors_.Guard([this] {
      jpeg_create_decompress(&info_);
      info_.progress = &progress_;
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
      jpeg_read_header(&info_, TRUE);
    });
  }

  bool ReadPixels(JpegTransform transform, uint8_t* rgb) {
    return errors_.Guard([this, transform, rgb] {
      info_.out_color_space = JCS_RGB;
      info_.dct_method = transform == JpegTransform::kFast ? JDCT_IFAST : JDCT_ISLOW;
      jpeg_start_decompress(&info_);
      while (info_.output_scanline < info_.output_height) {
        JSAMPROW row = rgb + size_t{3} * info_.output_width * info_.output_scanline;
        jpeg_read_scanlines(&info_, &row, 1);
      }
      jpeg_finish_decompress(&info_);
    });
  }

 private:
  std::span<const std::byte> bytes_;
  ErrorManager errors_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
};

class Compressor {
 public:
  Compressor() {
    Prepare(&errors_);
    info_.err = &errors_;
  }
  ~Compressor() {
    jpeg_destroy_compress(&info_);
    std::free(buffer_);
  }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  const char* message() const { return errors_.message(); }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(buffer_), size_}; }

  // `row` has room for a row of RGB.
  bool Write(const ImageView& view, int quality, uint8_t* row) {
    return errors_.Guard([this, &view, quality, row] {
      jpeg_create_compress(&info_);
      jpeg_mem_dest(&info_, &buffer_, &size_);
      info_.image_width = static_cast<JDIMENSION>(view.width);
      info_.image_height = static_cast<JDIMENSION>(view.height);
      info_.input_components = 3;
      info_.in_color_space = JCS_RGB;
      jpeg_set_defaults(&info_);
      jpeg_set_quality(&info_, quality, TRUE);
      jpeg_start_compress(&info_, TRUE);
      for (int64_t y = 0; y < view.height; ++y) {
        CopyRgbRow(view, y, row);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&info_, &rows, 1);
      }
      jpeg_finish_compress(&info_);
    });
  }

 private:
  ErrorManager errors_;
  jpeg_compress_struct info_{};
  unsigned char* buffer_ = nullptr;  // libjpeg's malloc
  unsigned long size_ = 0;
};

}  // namespace

Image DecodeJpeg(std::span<const std::byte> bytes, std::string_view source, const ImageDecodeOptions& options) {
  Decompressor jpeg(bytes);
  if (!jpeg.ReadHeader()) Fail("{}: not a whole JPEG: {}", source, jpeg.message());
  const int64_t width = jpeg.info().image_width, height = jpeg.info().image_height;
  CheckImageSize(width, height, options.limits, source);
  const int channels = jpeg.info().num_components;
  if (channels == 4) Fail("{}: a JPEG in CMYK, expected RGB or grey: convert it", source);
  if (channels != 1 && channels != 3) Fail("{}: a JPEG of {} channels, expected 1 or 3", source, channels);
  Image out(width, height);
  if (!jpeg.ReadPixels(options.transform, out.pixels.data())) {
    Fail("{}: not a whole JPEG: {}", source, jpeg.message());
  }
  return out;
}

std::string EncodeJpeg(const ImageView& view, int quality) {
  CheckImageView(view);
  if (quality < 1 || quality > 100) Fail("image: the JPEG quality is {}, expected 1 to 100", quality);
  std::vector<uint8_t> row(static_cast<size_t>(3 * view.width));
  Compressor jpeg;
  if (!jpeg.Write(view, quality, row.data())) Fail("image: cannot be written as a JPEG: {}", jpeg.message());
  return std::string(jpeg.bytes());
}

}  // namespace kinetok
