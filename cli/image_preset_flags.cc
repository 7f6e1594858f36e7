#include "cli/image_preset_flags.h"

#include <fmt/format.h>

namespace kinetok::cli {

void ImagePresetFlags::Add(CLI::App* command, const std::string& group) {
  command
      ->add_option("--image-preset", preset,
                   "How images become pixels, kept with the model: server (as OpenVLA's training and server) or "
                   "tensorflow-eval (as its evaluation scripts); default: as it is, server for a new model")
      ->group(group);
  command->add_flag("--rotate-180", rotate_180, "With tensorflow-eval: the camera hangs upside down, as LIBERO's do")
      ->group(group);
  command
      ->add_flag("--center-crop", center_crop,
                 "With tensorflow-eval: the middle 90% of the area, after training on random crops")
      ->group(group);
  command
      ->add_flag("--no-jpeg-round-trip", no_jpeg_round_trip,
                 "With tensorflow-eval: leave out storing the image as a JPEG, as the training data was")
      ->group(group);
}

void ImagePresetFlags::Apply(ImageProcessorConfig& config) const {
  if (!given()) return;
  if (preset == "server") {
    config.preset = ImagePreset::kServer;
    config.tensorflow_eval = {};
  } else if (preset == "tensorflow-eval") {
    config.preset = ImagePreset::kTensorflowEval;
    config.tensorflow_eval = {rotate_180, !no_jpeg_round_trip, center_crop};
    return;
  } else if (!preset.empty()) {
    throw UsageError(fmt::format("--image-preset is \"{}\"; expected server or tensorflow-eval", preset));
  }
  if (switches()) {
    throw UsageError("--rotate-180, --center-crop and --no-jpeg-round-trip need --image-preset tensorflow-eval");
  }
}

}  // namespace kinetok::cli
