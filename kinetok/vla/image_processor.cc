#include "kinetok/vla/image_processor.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/vla/resample.h"

namespace kinetok {
namespace {

constexpr float kEvaluationCrop = 0.9f;  // of the area
constexpr int kTensorflowQuality = 95;

// round((longer - size) / 2) as Python rounds: half to even.
int64_t CropOffset(int64_t longer, int64_t size) {
  const int64_t difference = longer - size, half = difference / 2;
  return difference % 2 == 0 ? half : half + half % 2;
}

// The shorter side becomes `size`, the longer one int(size * long / short), and of it the middle is kept.
Window ShorterSideWindow(int64_t width, int64_t height, int64_t size) {
  const auto scaled = [&](int64_t side, int64_t shorter) {
    return static_cast<int64_t>(static_cast<double>(size * side) / static_cast<double>(shorter));
  };
  const int64_t shorter = std::min(width, height);
  Window w{scaled(width, shorter), scaled(height, shorter), 0, 0, size, size};
  w.left = CropOffset(w.width, size);
  w.top = CropOffset(w.height, size);
  return w;
}

Image ResizeAsServer(const ImageView& view, const ImageProcessorConfig& config) {
  const int64_t size = config.image_size;
  PaddedImage image{view};
  if (config.strategy == ResizeStrategy::kLetterbox) {
    const int64_t longer = std::max(view.width, view.height);
    image.left = (longer - view.width) / 2;
    image.top = (longer - view.height) / 2;
    image.fill = config.letterbox_fill();
  }
  if (config.strategy == ResizeStrategy::kNaive) return ResizeBicubic(image, {size, size, 0, 0, size, size});
  return ResizeBicubic(image, ShorterSideWindow(image.width(), image.height(), size));
}

Image ResizeAsEvaluation(const ImageView& view, const ImageProcessorConfig& config) {
  const TensorflowEval& steps = config.tensorflow_eval;
  Image image;
  ImageView current = view;
  const auto take = [&](Image next) {
    image = std::move(next);
    current = image.view();
  };
  if (steps.rotate_180) take(Rotate180(current));
  if (steps.jpeg_round_trip) {
    const std::string jpeg = EncodeJpeg(current, kTensorflowQuality);
    ImageDecodeOptions options{.transform = JpegTransform::kFast};
    options.limits = {kMaxImageSide * kMaxImageSide, static_cast<int64_t>(jpeg.size())};
    take(DecodeImage(std::as_bytes(std::span(jpeg)), "image", options));
  }
  take(ResizeLanczos3(current, config.image_size, config.image_size));
  if (steps.center_crop) take(Crop(current, kEvaluationCrop));
  return image;
}

}  // namespace

ImageProcessor::ImageProcessor(ImageProcessorConfig config) : config_(std::move(config)) {
  CheckImageProcessorConfig(config_);
}

int64_t ImageProcessor::values() const {
  return 3 * static_cast<int64_t>(config_.towers.size()) * config_.image_size * config_.image_size;
}

Image ImageProcessor::AsCamera(Image upright) const {
  return config_.tensorflow_eval.rotate_180 ? Rotate180(upright.view()) : std::move(upright);
}

ImageProcessor ImageProcessor::WithoutCenterCrop() const {
  ImageProcessorConfig config = config_;
  config.tensorflow_eval.center_crop = false;
  return ImageProcessor(std::move(config));
}

Image ImageProcessor::Resize(const ImageView& image) const {
  CheckImageView(image);
  return config_.preset == ImagePreset::kServer ? ResizeAsServer(image, config_) : ResizeAsEvaluation(image, config_);
}

std::vector<float> ImageProcessor::Process(const ImageView& image) const {
  std::vector<float> out(static_cast<size_t>(values()));
  Process(image, out);
  return out;
}

void ImageProcessor::Process(const ImageView& image, std::span<float> out) const {
  if (out.size() != static_cast<size_t>(values())) {
    Fail("image: room for {} values, expected {}", out.size(), values());
  }
  Normalize(Resize(image), out);
}

void ImageProcessor::Normalize(const Image& resized, std::span<float> out) const {
  KINETOK_CHECK(resized.width == config_.image_size && resized.height == config_.image_size);
  KINETOK_CHECK(out.size() == static_cast<size_t>(values()));
  float* to = out.data();
  for (const TowerNormalization& tower : config_.towers) {
    for (size_t channel = 0; channel < 3; ++channel) {
      float value[256];  // of every byte
      for (int v = 0; v < 256; ++v) {
        value[v] = (static_cast<float>(v) / 255.0f - tower.mean[channel]) / tower.std[channel];
      }
      for (size_t i = channel; i < resized.pixels.size(); i += 3) *to++ = value[resized.pixels[i]];
    }
  }
}

}  // namespace kinetok
