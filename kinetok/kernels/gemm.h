// Matrix products with plain row-major f32 weights: what training runs. Tiles are packed on the way.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// y[m][n] = bias[n] + sum_k x[m][k] w[n][k]       x [M, K]   w [N, K]   bias [N] or empty (0)   y [M, N]
// One fused multiply-add per k on top of bias[n], k ascending: the same bits as MatMul on packed f32 weights.
void LinearForward(Context& context, Rows<const float> x, Rows<const float> w, Span<const float> bias, Rows<float> y);

// dx[m][k] = (accumulate ? dx[m][k] : 0) + sum_n dy[m][n] w[n][k], n ascending.      dy [M, N]   dx [M, K]
void LinearBackwardInput(Context& context, Rows<const float> dy, Rows<const float> w, bool accumulate, Rows<float> dx);

// dw[n][k] += sum_m dy[m][n] x[m][k] and dbias[n] += sum_m dy[m][n] (unless empty), m ascending, one fused
// multiply-add (one add) at a time on top of what is there: feeding the rows in several calls gives the same bits.
void LinearBackwardWeight(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dw,
                          Span<float> dbias);

}  // namespace kinetok
