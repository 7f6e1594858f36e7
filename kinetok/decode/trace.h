// The autoregressive loop and teacher forcing laid bare: what goes in, what comes out, and what the cache and the
// parallel pass save, measured.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/decode/sampler.h"
#include "kinetok/decode/sequences.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"

namespace kinetok {

struct TracedStep {
  std::vector<TokenProbability> top;  // likeliest first, of the model's own distribution
  TokenProbability choice;            // with its probability there
  int64_t cached_rows = 0;            // positions computed with the cache: the prompt once, then one a step
  int64_t recomputed_rows = 0;        // positions computed without it: everything so far, again
  double cached_s = 0, recomputed_s = 0;
  bool same_bits = false;  // both gave the same logits
};

// Continues `prompt` by up to `steps` tokens, each computed twice: with the KV cache and from scratch. Ends early with
// the model's end-of-text token or its context. Throws Error as CheckPrompt (sequences.h) and SamplerOptions::Check do.
std::vector<TracedStep> TraceGeneration(Context& context, const Model& model, const Prompt& prompt,
                                        const SamplerOptions& options, int64_t steps, int64_t top);

struct TracedTarget {
  int32_t token = 0, target = 0;  // the input at this position, and what follows it
  double probability = 0;
  double loss = 0;  // -log(probability), nats
};

struct TeacherForcing {
  std::vector<TracedTarget> targets;  // of every position but the last
  double parallel_s = 0;              // one pass over all of them
  double single_s = 0;                // a pass each, with the cache
  bool same_bits = false;             // both gave the same logits
  double mean_loss = 0;
};

// Every position's prediction of the next token of a text of at least two. Throws Error as CheckPrompt does.
TeacherForcing TraceTeacherForcing(Context& context, const Model& model, std::span<const int32_t> tokens);

}  // namespace kinetok
