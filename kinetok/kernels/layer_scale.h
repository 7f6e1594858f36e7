// LayerScale: a learned factor for each column of what a half of a layer adds.          Touvron et al. 2021, eq. 4
//
//   y[i][c] = gamma[c] x[i][c]                              x, y [rows, width]   gamma [width]   y may not be x
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

void LayerScale(Context& context, Rows<const float> x, Span<const float> gamma, Rows<float> y);
// dx = gamma dy is overwritten; dgamma[c] += dy[i][c] x[i][c], i ascending.
void LayerScaleBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> gamma,
                        Rows<float> dx, Span<float> dgamma);

}  // namespace kinetok
