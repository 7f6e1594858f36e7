// Images for the tests and the fuzzer's seeds: valid ones, and one of every kind of malformed file with what its error
// says.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/io/image.h"

namespace kinetok {

// A picture with slopes, a stripe and every byte value: width x height pixels.
inline Image TestImage(int64_t width, int64_t height) {
  Image image(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = static_cast<uint8_t>(x * 255 / width);
      p[1] = static_cast<uint8_t>(y * 7 + x);
      p[2] = static_cast<uint8_t>(x % 5 == 0 ? 255 : x * y);
    }
  }
  return image;
}

inline std::string BigEndianBytes(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

// A chunk of a PNG with its CRC-32.
inline std::string PngChunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  uint32_t crc = 0xffffffffu;
  for (const char c : body) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
  }
  return BigEndianBytes(static_cast<uint32_t>(data.size())) + body + BigEndianBytes(~crc);
}

// A zlib stream that holds `data` (below 64 KiB) as it is.
inline std::string StoredZlib(std::string_view data) {
  uint32_t a = 1, b = 0;  // Adler-32
  for (const char c : data) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  const auto size = static_cast<uint32_t>(data.size());
  std::string out = {'\x78', '\x01', '\x01'};
  for (const uint32_t v : {size, ~size}) {
    out += static_cast<char>(v & 0xff);
    out += static_cast<char>(v >> 8 & 0xff);
  }
  return out + std::string(data) + BigEndianBytes(b << 16 | a);
}

struct PngParts {
  uint32_t width = 2, height = 2;
  int depth = 8, color = 0;  // 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA
  std::string rows{};        // each begins with its filter
  std::string before{};      // chunks between the header and the pixels
};

inline std::string PngBytes(const PngParts& p) {
  const std::string header = BigEndianBytes(p.width) + BigEndianBytes(p.height) + static_cast<char>(p.depth) +
                             static_cast<char>(p.color) + std::string(3, '\0');
  return std::string("\x89PNG\r\n\x1a\n", 8) + PngChunk("IHDR", header) + p.before +
         PngChunk("IDAT", StoredZlib(p.rows)) + PngChunk("IEND", "");
}

struct ImageCase {
  std::string name;
  std::string bytes;
  std::string error;  // part of the message; empty for a valid file
};

inline std::vector<ImageCase> ImageCases() {
  using namespace std::string_literals;
  const Image image = TestImage(24, 17);
  const std::string jpeg = EncodeJpeg(image.view()), png = EncodePng(image.view());
  const auto changed = [](std::string bytes, size_t at, std::string_view by) {
    return bytes.replace(at, by.size(), by);
  };
  const size_t frame = jpeg.find("\xff\xc0");  // marker, length, precision, height, width, channels
  const size_t data = png.find("IDAT"), scan = jpeg.find("\xff\xda");
  const std::string palette = PngChunk("PLTE", "\x01\x02\x03\xf0\xe0\xd0"s);
  const std::string two_rows = "\0\x10\x20\0\x30\x40"s;
  std::string extraneous = jpeg;
  extraneous.insert(scan, "junk");

  // A baseline JPEG of 16 x 16 pixels whose first channel comes in a scan of its own, again and again: of four blocks
  // of zeros, 001010 each in the standard Huffman tables.
  const std::string small = EncodeJpeg(TestImage(16, 16).view());
  const auto in_scans = [&](int scans) {
    std::string bytes = small.substr(0, small.find("\xff\xda"));
    for (int i = 0; i < scans; ++i) bytes += "\xff\xda\0\x08\x01\x01\0\0\x3f\0\x28\xa2\x8a"s;
    return bytes + "\xff\xd9";
  };

  return {
      {"jpeg", jpeg, ""},
      {"jpeg_in_scans", in_scans(3), ""},
      {"png", png, ""},
      {"grey_png", PngBytes({.rows = two_rows}), ""},
      {"palette_png", PngBytes({.depth = 1, .color = 3, .rows = "\0\x40\0\x80"s, .before = palette}), ""},
      {"palette_with_alpha_png",
       PngBytes({.depth = 1, .color = 3, .rows = "\0\x40\0\x80"s, .before = palette + PngChunk("tRNS", "\x80")}), ""},
      {"beyond_palette_png", PngBytes({.depth = 2, .color = 3, .rows = "\0\xf0\0\x80"s, .before = palette}), ""},
      {"text_chunk_png", PngBytes({.rows = two_rows, .before = PngChunk("tEXt", "a\0b"s)}), ""},
      {"bytes_after_png", png + "more", ""},
      {"bytes_after_jpeg", jpeg + "more", ""},

      {"empty", "", "the file is empty, expected a JPEG or a PNG"},
      {"one_byte", "\xff", "of an unknown format; it begins with ff"},
      {"text", "hello there", "of an unknown format; it begins with 68 65 6c 6c 6f 20 74 68"},
      {"gif", "GIF89a\1\0\1\0"s, "is a GIF, expected a JPEG or a PNG"},
      {"webp", "RIFF\x10\0\0\0WEBPVP8 "s, "is a WebP, expected"},
      {"bmp", "BM\x46\0\0\0"s, "is a BMP, expected"},
      {"tiff", "II*\0\x08\0\0\0"s, "is a TIFF, expected"},
      {"big_endian_tiff", "MM\0*\0\0\0\x08"s, "is a TIFF, expected"},
      {"avif", "\0\0\0\x1c"s + "ftypavif", "is an AVIF, expected"},
      {"heic", "\0\0\0\x1c"s + "ftypheic", "is a HEIF, expected"},
      {"png_sent_as_text", "\x89PNG\n\x1a\n", "a PNG whose signature is damaged"},

      {"jpeg_three_bytes", jpeg.substr(0, 3), "not a whole JPEG"},
      {"jpeg_cut_in_header", jpeg.substr(0, frame + 6), "not a whole JPEG"},
      {"jpeg_cut_before_scan", jpeg.substr(0, scan), "not a whole JPEG"},
      {"jpeg_cut_in_scan", jpeg.substr(0, (scan + jpeg.size()) / 2), "not a whole JPEG: Premature end of JPEG file"},
      {"jpeg_without_end", jpeg.substr(0, jpeg.size() - 2), "not a whole JPEG: Premature end of JPEG file"},
      {"jpeg_extraneous", extraneous, "not a whole JPEG: Corrupt JPEG data"},
      {"jpeg_many_scans", in_scans(600), "not a whole JPEG: more than 500 scans"},
      {"jpeg_zero_width", changed(jpeg, frame + 7, "\0\0"s), "not a whole JPEG: Empty JPEG image"},
      {"jpeg_zero_height", changed(jpeg, frame + 5, "\0\0"s), "not a whole JPEG: Empty JPEG image"},
      {"jpeg_huge", changed(jpeg, frame + 5, "\xff\x00\xff\x00"s), "the image says 65280 x 65280 pixels; the limit is"},
      {"jpeg_twelve_bits", changed(jpeg, frame + 4, "\x0c"), "not a whole JPEG: Unsupported JPEG data precision 12"},
      {"jpeg_lossless", changed(jpeg, frame + 1, "\xc3"), "not a whole JPEG: Unsupported"},
      {"jpeg_four_channels_short", changed(jpeg, frame + 9, "\x04"), "not a whole JPEG"},

      {"png_signature_only", png.substr(0, 8), "not a whole PNG: 8 bytes, expected at least 33"},
      {"png_cut_in_pixels", png.substr(0, data + 40), "not a whole PNG: the file is cut short"},
      {"png_without_end", png.substr(0, png.size() - 12), "not a whole PNG: the file is cut short"},
      {"png_bad_header_crc", changed(png, 29, "\1\2\3\4"), "not a whole PNG: IHDR: CRC error"},
      {"png_bad_pixel_crc", changed(png, png.size() - 16, "\1\2\3\4"), "not a whole PNG: IDAT: CRC error"},
      {"png_bad_text_crc", PngBytes({.rows = two_rows, .before = changed(PngChunk("tEXt", "a\0b"s), 11, "\1\2\3\4")}),
       "not a whole PNG: tEXt: CRC error"},
      {"png_no_header_first", changed(png, 12, "IDAT"), "not a PNG: the first chunk is not an IHDR"},
      {"png_long_header", changed(png, 11, "\x0e"), "not a PNG: the first chunk is not an IHDR of 13 bytes"},
      {"png_zero_width", PngBytes({.width = 0, .rows = two_rows}), "the image says 0 x 2 pixels"},
      {"png_zero_height", PngBytes({.height = 0, .rows = two_rows}), "the image says 2 x 0 pixels"},
      {"png_huge", PngBytes({.width = 60000, .height = 60000}), "the image says 60000 x 60000 pixels; the limit is"},
      {"png_largest", PngBytes({.width = 0xffffffffu, .height = 0xffffffffu}),
       "the image says 4294967295 x 4294967295 pixels; the limit is"},
      {"png_sixteen_bits", PngBytes({.depth = 16, .rows = "\0\1\2\3\4\0\1\2\3\4"s}),
       "a PNG of 16 bits a sample, expected at most 8"},
      {"png_three_bits", PngBytes({.depth = 3, .rows = two_rows}), "not a whole PNG: Invalid IHDR data"},
      {"png_unknown_color", PngBytes({.color = 5, .rows = two_rows}), "not a whole PNG: Invalid IHDR data"},
      {"png_animated", PngBytes({.rows = two_rows, .before = PngChunk("acTL", "\0\0\0\2\0\0\0\0"s)}),
       "an animated PNG, expected a still image"},
      {"png_rows_missing", PngBytes({.rows = "\0\x10\x20"s}), "not a whole PNG: Not enough image data"},
      {"png_no_palette", PngBytes({.depth = 1, .color = 3, .rows = "\0\x40\0\x80"s}),
       "not a whole PNG: IDAT: Missing PLTE"},
      {"png_unknown_filter", PngBytes({.rows = "\x07\x10\x20\0\x30\x40"s}),
       "not a whole PNG: bad adaptive filter value"},
      {"png_bad_zlib", changed(PngBytes({.rows = two_rows}), 41, "\xff"), "not a whole PNG"},
  };
}

}  // namespace kinetok
