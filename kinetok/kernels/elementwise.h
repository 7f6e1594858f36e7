// Sums, scalings and dropout.
#pragma once

#include <cstdint>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// y = a + b; y may be a or b.   a, b, y [rows, width]
void Add(Context& context, Rows<const float> a, Rows<const float> b, Rows<float> y);

// Inverted dropout (Srivastava et al. 2014): y = x / (1 - p) where kept, else 0; 0 <= p < 1; y may be x. What is kept
// is a function of (seed, site, row key, column) alone: `keys` [rows] is the row's global identity (sample index and
// position), so that batches, threads and resumed runs drop the same elements. The backward pass is the same call on
// dy.
struct DropoutSite {
  float p = 0;
  uint64_t seed = 0;  // of the run
  uint64_t step = 0;  // optimizer step
  uint32_t site = 0;  // which dropout of the model
};
void Dropout(Context& context, const DropoutSite& site, Span<const uint64_t> keys, Rows<const float> x, Rows<float> y);

// The sum of squares of x, in double: per block of 4096 elements in order, blocks in order.
double SumOfSquares(Context& context, Span<const float> x);

}  // namespace kinetok
