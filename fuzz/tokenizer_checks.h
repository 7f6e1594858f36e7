// What every tokenizer that a file was accepted as must do.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/utf8.h"

namespace kinetok::fuzz {

inline std::vector<int32_t> EncodeOrNothing(const Tokenizer& tokenizer, std::string_view text) {
  try {
    return tokenizer.Encode(text, {.special = true});
  } catch (const Error&) {  // a character that the vocabulary lacks, or a text that grows without end
    return {};
  }
}

// Encodes a sample and `own`; decodes what it encoded at once and as a stream, whose text is the same unless byte
// pieces are put together; reads itself from the file that it writes, and gives the same ids then when `same_ids`.
inline void CheckTokenizer(const Tokenizer& tokenizer, std::string_view own, bool same_ids) {
  const std::string json = tokenizer.ToJson();
  const auto copy = Tokenizer::FromJson(json, "copy");
  if (copy->vocab_size() != tokenizer.vocab_size()) std::abort();
  const bool exact = json.find("ByteFallback") == std::string::npos;
  const std::string text = ReplaceInvalidUtf8(own.substr(0, 256));
  for (const std::string_view sample :
       {std::string_view("abc 오늘 날씨가 <|endoftext|>\n\n  😀 12's [CLS]<s>Éa\u0301"), std::string_view(text)}) {
    const std::vector<int32_t> ids = EncodeOrNothing(tokenizer, sample);
    if (same_ids && ids != EncodeOrNothing(*copy, sample)) std::abort();
    if (std::ranges::any_of(ids, [&](int32_t id) { return !tokenizer.Has(id); })) std::abort();
    try {
      StreamDecoder stream(tokenizer);
      std::string streamed;
      for (const int32_t id : ids) streamed += stream.Push(id);
      streamed += stream.Finish();
      if (FindInvalidUtf8(streamed) != std::string::npos) std::abort();
      if (exact && streamed != ReplaceInvalidUtf8(tokenizer.Decode(ids))) std::abort();
    } catch (const Error&) {  // a decoder's Replace that makes pieces grow without end
    }
  }
}

}  // namespace kinetok::fuzz
