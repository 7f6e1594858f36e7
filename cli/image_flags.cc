#include "cli/image_flags.h"

#include "kinetok/vla/image_prompt.h"

namespace kinetok::cli {

void AddMaxImagePixels(CLI::App* command, int64_t& pixels) {
  command->add_option("--max-image-pixels", pixels, "The largest image that is read")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
}

void ImageFlags::Add(CLI::App* command) {
  command->add_option("--image", image,
                      "What the model sees before the text, a PNG or JPEG file; for models with vision towers");
  AddMaxImagePixels(command, limits.max_pixels);
}

SeenImage::SeenImage(Context& context, std::shared_ptr<const Model> model, const std::string& dir,
                     const ImageFlags& flags)
    : model_(std::move(model)),
      eyes_(context, model_, dir),
      patches_(eyes_.Encode(eyes_.Process(ReadImage(flags.image, {.limits = flags.limits}).view()))) {}

std::vector<int32_t> SeenImage::Ids(const PromptFlags& prompt, const std::string& text) const {
  if (!prompt.as_ids()) return PromptTokens(*model_->tokenizer(), text, patches_.rows);
  const std::vector<int32_t> ids = prompt.Ids();
  if (ids.empty()) throw UsageError("--tokens is empty; an image needs a token before it");
  return WithPatches(ids, patches_.rows);
}

}  // namespace kinetok::cli
