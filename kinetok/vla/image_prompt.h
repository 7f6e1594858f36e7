// Prompts with an image in them: BOS, the image's patches, and the text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kinetok/decode/sequences.h"
#include "kinetok/io/image.h"
#include "kinetok/model/model.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/vla/image_processor.h"

namespace kinetok {

// The first token (BOS), the places of an image's patches, and the other tokens.
std::vector<int32_t> WithPatches(std::span<const int32_t> tokens, int64_t patches);

// A text as a model with a camera reads it: BOS (also where the tokenizer's template puts none), `patches` places of an
// image, the text. Special tokens typed in it are plain text. Throws Error when it is not UTF-8, or when nothing is
// left of it.
std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view text, int64_t patches);

// A model's eyes: from a camera's image to the rows that its decoder reads. One caller at a time.
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
