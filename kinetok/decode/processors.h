// Processors that change logits by what a sequence already holds, before any candidate is filtered.
//
// Each takes logits [vocab_size], indexed by token, and changes them in place; a banned token's logit is -infinity. Ids
// outside the vocabulary have no effect.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kinetok {

struct TokenBias {
  int32_t token = 0;
  double bias = 0;  // -infinity bans the token
};

// What a sequence holds when its next token is chosen.
struct History {
  std::span<const int32_t> tokens = {};  // prompt, then output
  size_t prompt_tokens = 0;              // how many of them are the prompt
  std::span<const int32_t> eos = {};     // the ids that end a text

  std::span<const int32_t> generated() const { return tokens.subspan(prompt_tokens); }
};

// logit += bias.
void ApplyLogitBias(std::span<double> logits, std::span<const TokenBias> biases);
// Once per distinct token of `tokens` (prompt and output): a negative logit is multiplied by `penalty`, another one
// divided (Keskar et al. 2019, "CTRL").
void ApplyRepetitionPenalty(std::span<double> logits, std::span<const int32_t> tokens, double penalty);
// logit -= presence * [count > 0] + frequency * count, where count is the token's in `generated` (OpenAI).
void ApplyCountPenalties(std::span<double> logits, std::span<const int32_t> generated, double presence,
                         double frequency);
// Bans every token that would complete an n-gram which `tokens` holds already (Paulus et al. 2017); n >= 1.
void BanRepeatedNgrams(std::span<double> logits, std::span<const int32_t> tokens, int64_t n);
// Bans the last token of each sequence whose other tokens end `tokens`.
void BanWords(std::span<double> logits, std::span<const int32_t> tokens, std::span<const std::vector<int32_t>> words);
void BanTokens(std::span<double> logits, std::span<const int32_t> banned);
// Bans all but `allowed`.
void KeepTokens(std::span<double> logits, std::span<const int32_t> allowed);

}  // namespace kinetok
