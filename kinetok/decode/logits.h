// The raw logits of a whole text, for files, fingerprints and scores.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// Calls sink(first, logits [n, vocab_size]) for consecutive pieces of `tokens`: row i holds the logits after position
// first + i. Throws Error as CheckPrompt does (engine.h).
void ForEachLogits(Context& context, const Model& model, std::span<const int32_t> tokens,
                   const std::function<void(int64_t first, Rows<const float> logits)>& sink);

// The logits [vocab_size] after the last of `tokens`: what the next one is chosen from. Throws Error as CheckPrompt
// does.
std::vector<float> NextLogits(Context& context, const Model& model, std::span<const int32_t> tokens);

// SHA-256 over the little-endian f32 logits of the model on a fixed prompt: min(context, 160) tokens, position i
// holding (i * 2654435761 mod 2^32) mod vocab_size. Equal on any machine, or something is broken.
std::string Fingerprint(Context& context, const Model& model);

}  // namespace kinetok
