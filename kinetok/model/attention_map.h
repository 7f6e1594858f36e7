// Where each position of a text looks: the attention probabilities of a layer, for people to see.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/kernels/attention.h"
#include "kinetok/model/model.h"

namespace kinetok {

// The probabilities of one layer over a text of n tokens. Rows sum to 1; a key that the mask hides has 0.
struct AttentionMap {
  int64_t heads = 0, tokens = 0;
  std::vector<AttentionRow> rows;     // [tokens]: what each position sees
  std::vector<double> probabilities;  // [heads, tokens, tokens]: of position i to key j

  std::span<const double> Row(int64_t head, int64_t position) const {
    return std::span(probabilities).subspan((head * tokens + position) * tokens, tokens);
  }
};

// One pass over `tokens`, the softmax recomputed in double from the layer's own queries and keys. Throws Error when the
// layer does not exist, and as Model::Hidden does.
AttentionMap ComputeAttentionMap(Context& context, const Model& model, std::span<const int32_t> tokens, int64_t layer);

}  // namespace kinetok
