#include "kinetok/vla/image_prompt.h"

#include "kinetok/base/error.h"
#include "kinetok/decode/sequences.h"

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

}  // namespace kinetok
