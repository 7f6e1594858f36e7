// preprocessor_config.json of OpenVLA (PrismaticImageProcessor): how an image becomes the input of the vision towers.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/model/config.h"

namespace kinetok {

// How an image that is not square becomes image_size x image_size pixels.
enum class ResizeStrategy {
  kNaive,      // "resize-naive": stretched
  kLetterbox,  // "letterbox": a border of the mean colour makes it square (an odd difference leaves it one pixel off)
  kCrop,       // "resize-crop": the middle of the longer side
};

enum class ImagePreset {
  kServer,          // "server": Pillow's bicubic, as OpenVLA's training and its server
  kTensorflowEval,  // "tensorflow-eval": as OpenVLA's evaluation scripts: TensorFlow's lanczos3, whatever the strategy
};

// What "tensorflow-eval" does around the resizing, in this order: rotation, JPEG, resizing, crop.
struct TensorflowEval {
  bool rotate_180 = false;      // LIBERO's cameras hang upside down
  bool jpeg_round_trip = true;  // the training data was stored as JPEG
  bool center_crop = false;     // for models that were trained with random crops of 90% of the area
  bool operator==(const TensorflowEval&) const = default;
};

struct TowerNormalization {
  std::array<float, 3> mean{}, std{};  // of red, green, blue in [0, 1]: tvf_normalize_params
  bool operator==(const TowerNormalization&) const = default;
};

struct ImageProcessorConfig {
  int64_t image_size = 224;  // of every tower
  ResizeStrategy strategy = ResizeStrategy::kNaive;
  // One or two (use_fused_vision_backbone). The default is SigLIP's.
  std::vector<TowerNormalization> towers{{{0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}}};
  // Unrounded, one set a tower: `means` and `stds`; the letterbox takes its colour from the last mean.
  std::vector<std::array<double, 3>> means{{0.5, 0.5, 0.5}}, stds{{0.5, 0.5, 0.5}};

  ImagePreset preset = ImagePreset::kServer;  // kinetok_preset, which other readers ignore
  TensorflowEval tensorflow_eval{};

  std::array<uint8_t, 3> letterbox_fill() const;  // int(255 * mean)
  bool operator==(const ImageProcessorConfig&) const = default;
};

inline constexpr int64_t kMaxTowerImageSize = 2048;

// DINOv2 and SigLIP as openvla-7b has them, its means rounded to bfloat16 included; SigLIP or DINOv2 alone.
ImageProcessorConfig OpenVlaImages(int64_t image_size = 224);
ImageProcessorConfig SiglipImages(int64_t image_size = 224);
ImageProcessorConfig DinoImages(int64_t image_size = 224);

// What fits a model's towers, told by their timm names: DINOv2's statistics for a name with "dino", else SigLIP's.
ImageProcessorConfig DefaultImages(const ModelConfig& model);

// Throws Error naming `source`, the field, its value and what was expected. Fields of the tvf_ kind follow from the
// others when absent; present, they must agree with them (tvf_normalize_params up to bfloat16's rounding).
ImageProcessorConfig ParseImageProcessorConfig(const Json& json, std::string_view source);
ImageProcessorConfig ReadImageProcessorConfig(const std::filesystem::path& file);

// Every field that the reference writes, and kinetok_preset.
OrderedJson ImageProcessorConfigToJson(const ImageProcessorConfig& config);
OrderedJson ImagePresetToJson(const ImageProcessorConfig& config);  // kinetok_preset alone

// What is wrong in a config that was put together by hand; throws Error.
void CheckImageProcessorConfig(const ImageProcessorConfig& config);

}  // namespace kinetok
