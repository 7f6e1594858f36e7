// A new token of a sequence, what is asked about it, and what makes it the last.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kinetok/decode/sampler.h"
#include "kinetok/model/config.h"

namespace kinetok {

enum class FinishReason : uint8_t {
  kLength,  // max_new_tokens, or the end of the context
  kEos,     // the model's end-of-text token, which is listed among the tokens
  kStop,    // a stop string, or the caller
};
std::string_view FinishReasonName(FinishReason reason);  // "length", "eos", "stop"

struct SequenceOptions {
  SamplerOptions sampler = {};
  int64_t max_new_tokens = 256;
  bool ignore_eos = false;
  bool logprobs = false;     // NewToken.logprob is computed
  int64_t top_logprobs = 0;  // how many entries NewToken.top gets

  void Check() const;  // Throws Error that starts with the field's name
  // New tokens that a sequence gets at most: fewer than max_new_tokens when the context ends. The last one is given out
  // and never read, so it may stand one past the context.
  int64_t Limit(const ModelConfig& config, size_t prompt_tokens) const;
};

struct NewToken {
  int sequence = 0;
  int32_t token = 0;
  double logprob = 0;                       // of `token` under the model's own distribution, before any processor
  std::vector<TokenLogprob> top = {};       // the likeliest tokens under it, likeliest first
  Span<const float> logits = {};            // Engine's: [vocab_size], the model's own, until its next Step
  std::optional<FinishReason> finish = {};  // set on a sequence's last token
};

// Why new token number `count` of at most `limit` is the last, if it is.
std::optional<FinishReason> FinishOf(const ModelConfig& config, const SequenceOptions& options, int32_t token,
                                     int64_t count, int64_t limit);
// The same token with what `options` ask about it and FinishOf says; `logits` are the model's.
NewToken Describe(const ModelConfig& config, const SequenceOptions& options, Span<const float> logits, int32_t token,
                  int64_t count, int64_t limit);

}  // namespace kinetok
