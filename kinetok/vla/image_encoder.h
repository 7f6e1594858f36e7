// A model's eyes: from a camera's image to the rows that its decoder reads.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "kinetok/io/image.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"
#include "kinetok/vla/image_processor.h"

namespace kinetok {

// One caller at a time.
class ImageEncoder {
 public:
  // `dir` is the model's. Throws Error when the model sees no images, or when its preprocessor_config.json is missing,
  // contradicts itself or gives images of another size than the towers take.
  ImageEncoder(Context& context, std::shared_ptr<const Model> model, const std::filesystem::path& dir);

  const ImageProcessor& processor() const { return processor_; }
  std::vector<float> Process(const ImageView& image) const { return processor_.Process(image); }
  // [patches, hidden_size], valid until the next call.   pixels as of Process
  Rows<const float> Encode(std::span<const float> pixels);

 private:
  Context& context_;
  std::shared_ptr<const Model> model_;
  ImageProcessor processor_;
  Workspace workspace_;
};

}  // namespace kinetok
