// --image: what a model with vision towers sees in front of its prompt.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "kinetok/io/image.h"
#include "kinetok/vla/image_encoder.h"

namespace kinetok::cli {

// --max-image-pixels, from 1 on.
void AddMaxImagePixels(CLI::App* command, int64_t& pixels);

struct ImageFlags {
  std::string image;
  ImageLimits limits;
  void Add(CLI::App* command);
  bool given() const { return !image.empty(); }
};

// The image as the model's towers see it.
class SeenImage {
 public:
  SeenImage(Context& context, std::shared_ptr<const Model> model, const std::string& dir, const ImageFlags& flags);
  Rows<const float> patches() const { return patches_; }
  // The prompt around it: --tokens, or `text` behind a BOS.
  std::vector<int32_t> Ids(const PromptFlags& prompt, const std::string& text) const;

 private:
  std::shared_ptr<const Model> model_;
  ImageEncoder eyes_;
  Rows<const float> patches_;  // which eyes_ holds
};

}  // namespace kinetok::cli
