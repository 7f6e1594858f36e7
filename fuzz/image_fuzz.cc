// Any bytes are an image or an Error; an image that is accepted is within its limits, survives PNG and can be
// processed. Bytes that begin like JSON are a preprocessor_config.json, which survives being written and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "kinetok/base/error.h"
#include "kinetok/vla/image_processor.h"

namespace {

constexpr int64_t kPixels = 4096;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Process(const kinetok::Image& image) {
  kinetok::ImageProcessorConfig config = kinetok::OpenVlaImages(8);
  for (const auto strategy :
       {kinetok::ResizeStrategy::kNaive, kinetok::ResizeStrategy::kLetterbox, kinetok::ResizeStrategy::kCrop}) {
    config.strategy = strategy;
    Require(kinetok::ImageProcessor(config).Process(image.view()).size() == 384);
  }
  config.preset = kinetok::ImagePreset::kTensorflowEval;
  config.tensorflow_eval = {.rotate_180 = true, .jpeg_round_trip = true, .center_crop = true};
  Require(kinetok::ImageProcessor(config).Process(image.view()).size() == 384);
}

void Decode(std::span<const std::byte> bytes) {
  const kinetok::ImageDecodeOptions options{.limits = {.max_pixels = kPixels}};
  const kinetok::Image image = kinetok::DecodeImage(bytes, "fuzz", options);
  Require(image.width * image.height <= kPixels &&
          image.pixels.size() == static_cast<size_t>(3 * image.width * image.height));
  const std::string png = kinetok::EncodePng(image.view());
  Require(kinetok::DecodeImage(std::as_bytes(std::span(png)), "fuzz").pixels == image.pixels);
  Process(image);
}

void Configure(std::string_view text) {
  const kinetok::ImageProcessorConfig config =
      kinetok::ParseImageProcessorConfig(kinetok::ParseJson(text, "fuzz"), "fuzz");
  const std::string written = kinetok::ImageProcessorConfigToJson(config).dump();
  Require(kinetok::ParseImageProcessorConfig(kinetok::ParseJson(written, "fuzz"), "fuzz") == config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    if (size > 0 && data[0] == '{') {
      Configure({reinterpret_cast<const char*>(data), size});
    } else {
      Decode(std::as_bytes(std::span(data, size)));
    }
  } catch (const kinetok::Error& e) {
    Require(std::string_view(e.what()).starts_with("fuzz: "));
  }
  return 0;
}
