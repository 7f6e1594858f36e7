#include "kinetok/decode/new_token.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
      return "length";
    case FinishReason::kEos:
      return "eos";
    case FinishReason::kStop:
      break;
  }
  return "stop";
}

void SequenceOptions::Check() const {
  sampler.Check();
  if (max_new_tokens < 1) Fail("max_new_tokens is {}; it must be at least 1", max_new_tokens);
  if (sampler.min_new_tokens > max_new_tokens) {
    Fail("min_new_tokens is {}; it must be at most max_new_tokens, {}", sampler.min_new_tokens, max_new_tokens);
  }
  if (top_logprobs < 0) Fail("top_logprobs is {}; it must be 0 (none) or more", top_logprobs);
}

int64_t SequenceOptions::Limit(const ModelConfig& config, size_t prompt_tokens) const {
  return std::min(max_new_tokens, config.max_position_embeddings - static_cast<int64_t>(prompt_tokens) + 1);
}

std::optional<FinishReason> FinishOf(const ModelConfig& config, const SequenceOptions& options, int32_t token,
                                     int64_t count, int64_t limit) {
  const std::vector<int32_t>& eos = config.eos_token_ids;
  if (!options.ignore_eos && std::find(eos.begin(), eos.end(), token) != eos.end()) return FinishReason::kEos;
  if (count >= limit) return FinishReason::kLength;
  return std::nullopt;
}

NewToken Describe(const ModelConfig& config, const SequenceOptions& options, Span<const float> logits, int32_t token,
                  int64_t count, int64_t limit) {
  NewToken out{.sequence = 0, .token = token};
  if (options.logprobs) out.logprob = LogProbability(logits, token);
  if (options.top_logprobs > 0) out.top = TopLogProbabilities(logits, options.top_logprobs);
  out.finish = FinishOf(config, options, token, count, limit);
  return out;
}

}  // namespace kinetok
