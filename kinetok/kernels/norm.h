// LayerNorm and RMSNorm.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// y[i][c] = (x[i][c] - mean_i) / sqrt(var_i + eps) * weight[c] + bias[c]      Ba, Kiros, Hinton 2016
//   x, y [rows, width]   weight [width]   bias [width] or empty   eps > 0
//   mean, inv_std [rows]: kept for the backward pass; may be empty. var is the biased variance, in two passes.
// Order of accumulation: 16 lanes over the width, then the fixed tree of ReduceSum.
void LayerNorm(Context& context, Rows<const float> x, Span<const float> weight, Span<const float> bias, float eps,
               Rows<float> y, Span<float> mean, Span<float> inv_std);
// dx = (accumulate ? dx : 0) + ...; dweight and dbias (may be empty) are added to, rows ascending: the same bits
// whether the rows come in one call or several.
void LayerNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                       Span<const float> mean, Span<const float> inv_std, bool accumulate, Rows<float> dx,
                       Span<float> dweight, Span<float> dbias);

// y[i][c] = weight[c] * x[i][c] / sqrt(mean_c(x[i][c]^2) + eps)               Zhang & Sennrich 2019, eq. 4
//   inv_rms [rows]: kept for the backward pass; may be empty.
void RmsNorm(Context& context, Rows<const float> x, Span<const float> weight, float eps, Rows<float> y,
             Span<float> inv_rms);
void RmsNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                     Span<const float> inv_rms, bool accumulate, Rows<float> dx, Span<float> dweight);

}  // namespace kinetok
