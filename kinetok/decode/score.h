// How likely a model finds given continuations of given prompts, and given texts: what evaluations are made of.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"

namespace kinetok {

// A continuation and what comes before it, as ids; neither is empty.
struct ScoreRequest {
  std::vector<int32_t> prompt, continuation;
};

struct ContinuationScore {
  double log_probability = 0;  // of the whole continuation, natural logarithm
  bool greedy = true;          // every token of it is the likeliest, the lower id on a tie
};

struct ScoreReport {
  std::vector<ContinuationScore> scores;  // by request
  int64_t tokens = 0;                     // of all prompts and continuations
  int64_t rows = 0;                       // positions that the model computed: each shared prefix once
  int64_t truncated = 0;                  // requests whose prompt lost its beginning
};

struct ScoreOptions {
  int64_t pass_rows = 512;                                    // positions that one pass takes at most
  int64_t logits_rows = 128;                                  // of these, positions whose logits are computed
  int64_t sequences = 64;                                     // that one pass advances
  std::function<void(int64_t done, int64_t total)> progress;  // positions
};

// Scores all requests as one ragged batch over the tree of their prefixes: a prefix that several requests share is
// computed once, and forked (KvCache::Fork) where they part. The result is what each request gives alone, bit for bit.
// A request longer than the context loses the beginning of its prompt. Throws Error when the model predicts no next
// token, a prompt or continuation is empty, a continuation does not fit the context, or an id is
// outside the vocabulary.
ScoreReport ScoreContinuations(Context& context, const Model& model, std::span<const ScoreRequest> requests,
                               const ScoreOptions& options = {});

struct PerplexityOptions {
  int64_t window = 0;                                         // positions of a window; 0: the model's context
  int64_t stride = 0;                                         // how far the next one begins; 0: half a window
  std::function<void(int64_t done, int64_t total)> progress;  // tokens

  // Throws Error that starts with the field's name: context (the window) or stride.
  void Check(const ModelConfig& config) const;
};

struct PerplexityReport {
  int64_t tokens = 0;  // of the text
  int64_t scored = 0;  // with at least one token before them in their window
  double nats = 0;     // sum of -log p over those scored
  int64_t window = 0, stride = 0;
  double Loss() const { return nats / static_cast<double>(scored); }
};

// Strided windows, as Hugging Face's guide "Perplexity of fixed-length models" does it: windows begin at 0, stride,
// 2 * stride, ..., the last one ends the text; each scores what no window before it scored, its own first token
// excepted. Throws Error when fewer than two tokens are given, and as Model::Forward does.
PerplexityReport ComputePerplexity(Context& context, const Model& model, std::span<const int32_t> tokens,
                                   const PerplexityOptions& options = {});

}  // namespace kinetok
