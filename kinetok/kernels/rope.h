// Rotary position embedding (Su et al. 2021), half-split as in Hugging Face's Llama.
#pragma once

#include <cstdint>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// cos and sin of position * theta^(-2i/head_dim) for every position < positions and i < head_dim / 2, computed in
// double with our own functions and rounded to f32.
struct RopeTable {
  RopeTable() = default;
  RopeTable(int64_t positions, int64_t head_dim, double theta);
  RopeTable(int64_t positions, Span<const double> frequencies);  // of other pairs' frequencies [head_dim / 2]
  int64_t positions = 0, half = 0;
  std::vector<float> cos, sin;  // [positions, half]
};

// theta^(-2i/head_dim) for every i < head_dim / 2.
std::vector<double> RopeFrequencies(int64_t head_dim, double theta);

// In place, for every head h < heads of every row i, at columns [h * head_dim, (h + 1) * head_dim):
//   (a, b) = (x[j], x[j + half])  ->  (a cos - b sin, b cos + a sin),  j < half, at position positions[i]
// `inverse` rotates back: the backward pass.
void Rope(Context& context, const RopeTable& table, Span<const int32_t> positions, int64_t heads, int64_t head_dim,
          bool inverse, Rows<float> x);

}  // namespace kinetok
