// A training run small enough for every instruction set, as one number that all machines must agree on.
#pragma once

#include <string>

#include "kinetok/kernels/context.h"

namespace kinetok {

inline constexpr int kFingerprintSteps = 20;

// SHA-256 over the weights (little-endian f32, published parameters in order) of a two-layer Llama with grouped heads
// and a two-layer GPT-2 with dropout, each after kFingerprintSteps steps on drawn tokens: initialisation, forward,
// backward, clipping, AdamW and a cosine schedule all have a part in it. Takes seconds without SIMD.
std::string TrainingFingerprint(Context& context);

}  // namespace kinetok
