// An image as the vision towers read it: the same bits for training and for acting, on every machine.
#pragma once

#include <span>
#include <vector>

#include "kinetok/io/image.h"
#include "kinetok/vla/image_config.h"

namespace kinetok {

class ImageProcessor {
 public:
  explicit ImageProcessor(ImageProcessorConfig config);  // throws Error when the config contradicts itself

  const ImageProcessorConfig& config() const { return config_; }
  int64_t values() const;  // of an image: 3 * towers * image_size^2

  // An image that is upright, of a recording or a simulator, as this model's camera would have given it: upside down
  // where the preset turns images by rotate_180, for this camera hangs that way.
  Image AsCamera(Image upright) const;
  // The same but for the preset's centre crop: for training images that are cropped at random instead.
  ImageProcessor WithoutCenterCrop() const;

  // image_size x image_size pixels, before they are normalised.
  Image Resize(const ImageView& image) const;
  // The second half of Process: what Resize gave, perhaps augmented since.
  void Normalize(const Image& resized, std::span<float> out) const;  // `out` has values() elements

  // [3 * towers, image_size, image_size]: for each tower red, green, blue, (pixel / 255 - mean) / std in float32, as
  // torchvision's to_tensor and normalize. Throws Error when the view is not valid.
  std::vector<float> Process(const ImageView& image) const;
  void Process(const ImageView& image, std::span<float> out) const;  // `out` has values() elements

 private:
  ImageProcessorConfig config_;
};

}  // namespace kinetok
