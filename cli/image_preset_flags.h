// --image-preset and its switches: how a model with vision towers reads images; preprocessor_config.json keeps it.
#pragma once

#include <string>

#include "cli/cli.h"
#include "kinetok/vla/image_config.h"

namespace kinetok::cli {

struct ImagePresetFlags {
  std::string preset;  // empty: as it is
  bool rotate_180 = false, center_crop = false, no_jpeg_round_trip = false;

  void Add(CLI::App* command, const std::string& group);
  bool given() const { return !preset.empty() || switches(); }
  // Throws UsageError for a preset that is unknown, or switches without "tensorflow-eval".
  void Apply(ImageProcessorConfig& config) const;

 private:
  bool switches() const { return rotate_180 || center_crop || no_jpeg_round_trip; }
};

}  // namespace kinetok::cli
