// What a row of logits says before anything is chosen: its greatest, and logarithms of softmax, in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/tensor/views.h"

namespace kinetok {

// The token with the greatest logit, the lower id on a tie. Throws Error when a logit is NaN or none is finite.
int32_t Argmax(Span<const float> logits);

// log(softmax(logits)[token]).
double LogProbability(Span<const float> logits, int32_t token);

// log(softmax(logits)), all of them, into `out` [vocab_size].
void LogProbabilities(Span<const float> logits, std::span<double> out);

struct TokenLogprob {
  int32_t token = 0;
  double logprob = 0;
  bool operator==(const TokenLogprob&) const = default;
};
// The `count` likeliest tokens (fewer when the vocabulary is smaller), likeliest first, the lower id on a tie.
std::vector<TokenLogprob> TopLogProbabilities(Span<const float> logits, int64_t count);

}  // namespace kinetok
