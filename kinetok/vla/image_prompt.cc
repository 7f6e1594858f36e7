#include "kinetok/vla/image_prompt.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/vla/image_config.h"

namespace kinetok {

std::vector<int32_t> WithPatches(std::span<const int32_t> tokens, int64_t patches) {
  KINETOK_CHECK(!tokens.empty());
  std::vector<int32_t> out = {tokens[0]};
  out.resize(1 + patches, Prompt::kEmbedding);
  out.insert(out.end(), tokens.begin() + 1, tokens.end());
  return out;
}

std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view text, int64_t patches) {
  std::vector<int32_t> ids = tokenizer.Encode(text, {.special = true, .parse_special = false});
  const auto bos = tokenizer.bos_id();
  if (bos && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
  if (ids.empty()) Fail("the prompt is empty, expected a text");
  return patches > 0 ? WithPatches(ids, patches) : ids;
}

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
