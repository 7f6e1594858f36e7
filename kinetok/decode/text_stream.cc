#include "kinetok/decode/text_stream.h"

namespace kinetok {

TextStream::TextStream(const Tokenizer* tokenizer, std::span<const int32_t> prompt,
                       const std::vector<std::string>& stop)
    : tokenizer_(tokenizer), stops_(stop) {
  if (tokenizer_ == nullptr) return;
  decoder_.emplace(*tokenizer_, DecodeOptions{.skip_special = true});
  for (const int32_t id : prompt) Decode(id);
}

std::string TextStream::Push(int32_t id) {
  return tokenizer_ == nullptr ? "" : stops_.Push(Decode(id));
}

std::string TextStream::Finish() {
  if (tokenizer_ == nullptr || stops_.matched()) return "";
  std::string text = stops_.Push(decoder_->Finish());
  return text + stops_.Finish();
}

// Ids that only pad the model's vocabulary have no text.
std::string TextStream::Decode(int32_t id) {
  return tokenizer_->Has(id) ? decoder_->Push(id) : "";
}

}  // namespace kinetok
