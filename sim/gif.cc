#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "sim/strip.h"

namespace kinetok::sim {
namespace {

constexpr int kReds = 6, kGreens = 7, kBlues = 6;  // 252 evenly spaced colours

using ColorMap = std::unique_ptr<ColorMapObject, decltype(&GifFreeMapObject)>;

ColorMap EvenColors() {
  ColorMap map(GifMakeMapObject(256, nullptr), GifFreeMapObject);
  if (map == nullptr) Fail("gif: no memory");
  for (int i = 0; i < kReds * kGreens * kBlues; ++i) {
    map->Colors[i] = {static_cast<GifByteType>(i / (kGreens * kBlues) * 255 / (kReds - 1)),
                      static_cast<GifByteType>(i / kBlues % kGreens * 255 / (kGreens - 1)),
                      static_cast<GifByteType>(i % kBlues * 255 / (kBlues - 1))};
  }
  return map;
}

// Ordered dithering with Bayer's matrix: still parts of the picture do not flicker.
GifByteType Index(const uint8_t* rgb, int64_t x, int64_t y) {
  constexpr std::array<std::array<int, 4>, 4> kBayer = {{{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}}};
  const int threshold = kBayer[static_cast<size_t>(y % 4)][static_cast<size_t>(x % 4)];
  const auto level = [&](int value, int levels) {
    return std::min(levels - 1, (value * (levels - 1) * 16 + threshold * 255) / (255 * 16));
  };
  return static_cast<GifByteType>((level(rgb[0], kReds) * kGreens + level(rgb[1], kGreens)) * kBlues +
                                  level(rgb[2], kBlues));
}

int Append(GifFileType* gif, const GifByteType* bytes, int count) {
  static_cast<std::string*>(gif->UserData)->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
  return count;
}

void Require(int status, const char* what) {
  if (status != GIF_OK) Fail("gif: {} failed", what);
}

void PutFrame(GifFileType* gif, const Image& frame, int hundredths) {
  const std::array<GifByteType, 4> control = {0, static_cast<GifByteType>(hundredths % 256),
                                              static_cast<GifByteType>(hundredths / 256), 0};
  Require(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, control.data()), "the delay");
  Require(EGifPutImageDesc(gif, 0, 0, static_cast<int>(frame.width), static_cast<int>(frame.height), false, nullptr),
          "a frame");
  std::vector<GifByteType> line(static_cast<size_t>(frame.width));
  for (int64_t y = 0; y < frame.height; ++y) {
    for (int64_t x = 0; x < frame.width; ++x) {
      line[static_cast<size_t>(x)] = Index(&frame.pixels[static_cast<size_t>(3 * (y * frame.width + x))], x, y);
    }
    Require(EGifPutLine(gif, line.data(), static_cast<int>(frame.width)), "a line");
  }
}

}  // namespace

void WriteGif(const std::filesystem::path& path, std::span<const Image> frames, int hundredths) {
  if (frames.empty()) Fail("{}: there is no frame to write", path);
  const Image& first = frames.front();
  for (const Image& frame : frames) {
    if (frame.width != first.width || frame.height != first.height) {
      Fail("{}: frames of {} x {} and of {} x {} pixels; expected one size", path, first.width, first.height,
           frame.width, frame.height);
    }
  }
  std::string bytes;
  int fault = 0;
  std::unique_ptr<GifFileType, void (*)(GifFileType*)> gif(EGifOpen(&bytes, Append, &fault),
                                                           [](GifFileType* g) { EGifCloseFile(g, nullptr); });
  if (gif == nullptr) Fail("gif: {}", GifErrorString(fault));
  EGifSetGifVersion(gif.get(), true);
  const ColorMap colors = EvenColors();
  Require(
      EGifPutScreenDesc(gif.get(), static_cast<int>(first.width), static_cast<int>(first.height), 8, 0, colors.get()),
      "the header");
  constexpr std::array<GifByteType, 3> kForever = {1, 0, 0};
  Require(EGifPutExtensionLeader(gif.get(), APPLICATION_EXT_FUNC_CODE), "the loop");
  Require(EGifPutExtensionBlock(gif.get(), 11, "NETSCAPE2.0"), "the loop");
  Require(EGifPutExtensionBlock(gif.get(), 3, kForever.data()), "the loop");
  Require(EGifPutExtensionTrailer(gif.get()), "the loop");
  for (const Image& frame : frames) PutFrame(gif.get(), frame, hundredths);
  gif.reset();  // writes the end
  WriteFileAtomically(path, bytes);
}

}  // namespace kinetok::sim
