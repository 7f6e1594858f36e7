// From logits to a token: processors that know the sequence (processors.h), filters (candidates.h), then a draw.
//
//   kHuggingFace   logit bias, repetition penalty, presence and frequency penalties, no-repeat n-grams, bad words, min
//                  new tokens, allowed tokens; then, unless greedy, temperature, top-k, top-p, min-p, typical-p
//   kLlamaCpp      the same up to the allowed tokens; then top-k, typical-p, top-p, min-p, temperature
//
// What is kept is renormalised. The same logits and history give the same token everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "kinetok/decode/candidates.h"
#include "kinetok/decode/log_probability.h"
#include "kinetok/decode/processors.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

enum class FilterOrder : uint8_t { kHuggingFace, kLlamaCpp };
FilterOrder ParseFilterOrder(std::string_view name);  // "hf", "llama.cpp"; Error that starts with "order" otherwise

struct SamplerOptions {
  bool greedy = false;     // the likeliest token, the lower id on a tie; temperature and the filters then play no part
  double temperature = 1;  // logits are divided by it; 0 is greedy
  int64_t top_k = 0;       // only the k likeliest tokens; 0: all
  TopKTies top_k_ties = TopKTies::kLowerId;
  double top_p = 1;      // only the smallest set of likeliest tokens whose probabilities sum to at least this
  double min_p = 0;      // only tokens at least this times as likely as the likeliest
  double typical_p = 1;  // only the smallest set of the most typical tokens whose probabilities sum to at least this
  FilterOrder order = FilterOrder::kHuggingFace;

  std::vector<TokenBias> logit_bias = {};                 // added to the logits before anything else
  double repetition_penalty = 1;                          // > 1 makes tokens of prompt and output less likely
  double presence_penalty = 0;                            // subtracted from the logit of each token of the output
  double frequency_penalty = 0;                           // the same, times its count
  int64_t no_repeat_ngram_size = 0;                       // no n-gram of prompt and output comes twice; 0: any may
  std::vector<std::vector<int32_t>> bad_words = {};       // token sequences that never come, nor end across the prompt
  int64_t min_new_tokens = 0;                             // the ids that end a text are banned before so many
  std::vector<std::vector<int32_t>> allowed_tokens = {};  // set i is what new token i is chosen from, the last set what
                                                          // all later ones are; empty: every token

  uint64_t seed = 0;
  uint32_t sequence = 0;  // tells apart several samples of one prompt under one seed

  // Throws Error that starts with the field's name: a value that is not finite or out of its range, an empty sequence
  // or set, a negative id.
  void Check() const;
  // The same for ids of logit_bias, bad_words and allowed_tokens that are not below `vocab_size`.
  void CheckIds(int64_t vocab_size) const;
  bool is_greedy() const { return greedy || temperature == 0; }
  // Some processor may change a logit.
  bool has_processors() const;
};

// The processors' part of the chain, on logits [vocab_size] in place (beam search gives it log-probabilities). False
// when they ban every token.
bool ProcessLogits(const SamplerOptions& options, const History& history, std::span<double> logits);
// Throws the Error of new token number `index` (from 0) when they did.
[[noreturn]] void FailNoTokenLeft(size_t index, int64_t vocab_size);

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);  // Throws Error as SamplerOptions::Check

  // The token at `position` of the sequence, given the logits [vocab_size] before it. A draw inverts the cumulative
  // distribution of the kept candidates, ids ascending, at a number that depends on (seed, sequence, position) alone.
  // Throws Error when a logit is NaN or none is finite, or when the processors ban every token.
  int32_t Choose(Span<const float> logits, int64_t position, const History& history = {});

  // What Choose would draw from, before the softmax. Valid until the next call.
  const Candidates& Keep(Span<const float> logits, const History& history = {});
  const Candidates& Keep(std::span<const double> logits, const History& history = {});

 private:
  const Candidates& Filter();
  SamplerOptions options_;
  std::vector<std::function<void(Candidates&)>> filters_;
  std::vector<double> processed_;  // logits, while the processors are at them
  Candidates candidates_;
};

struct TokenProbability {
  int32_t token = 0;
  double probability = 0;
  bool operator==(const TokenProbability&) const = default;
};

struct Distribution {
  std::vector<TokenProbability> kept;  // renormalised, likeliest first, the lower id on a tie; none is 0
  double entropy = 0;                  // of `kept`, in nats
};

// What the next token is drawn from. Greedy keeps one token. Throws Error as Sampler does.
Distribution Distribute(Span<const float> logits, const SamplerOptions& options, const History& history = {});
// The same from probabilities (their logarithms are the logits; they need not sum to 1), where token i is entry i.
// Throws Error when one is negative or not finite, or none is above 0.
Distribution DistributeProbabilities(std::span<const double> probabilities, const SamplerOptions& options,
                                     const History& history = {});

}  // namespace kinetok
