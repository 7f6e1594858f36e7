#include "kinetok/vla/image_encoder.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/vla/image_config.h"

namespace kinetok {
namespace {

ImageProcessor ReadProcessor(const Model& model, const std::filesystem::path& dir) {
  if (model.config().towers.empty()) {
    Fail("{}: model_type \"{}\" sees no images; expected openvla", dir.string(), model.config().model_type);
  }
  ImageProcessor processor(ReadImageProcessorConfig(dir / "preprocessor_config.json"));
  if (processor.values() != model.ImageFloats()) {
    Fail("{}: preprocessor_config.json gives images of {} numbers, the towers of config.json take {}", dir.string(),
         processor.values(), model.ImageFloats());
  }
  return processor;
}

}  // namespace

ImageEncoder::ImageEncoder(Context& context, std::shared_ptr<const Model> model, const std::filesystem::path& dir)
    : context_(context), model_(std::move(model)), processor_(ReadProcessor(*model_, dir)) {}

Rows<const float> ImageEncoder::Encode(std::span<const float> pixels) {
  return model_->EncodeImages(context_, pixels, workspace_);
}

}  // namespace kinetok
