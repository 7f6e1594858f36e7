// The non-linearities of the MLP.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// kGeluTanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))   ("gelu_new"; Hendrycks & Gimpel 2016)
// kGeluErf:  0.5 x (1 + erf(x / sqrt 2))                        ("gelu")
// kSilu:     x / (1 + exp(-x))
enum class Activation : uint8_t { kGeluTanh, kGeluErf, kSilu };

// y = f(x), elementwise; x, y [rows, width]; y may be x.
void Activate(Context& context, Activation f, Rows<const float> x, Rows<float> y);
// dx = dy * f'(x); dx may be dy.
void ActivateBackward(Context& context, Activation f, Rows<const float> dy, Rows<const float> x, Rows<float> dx);

// y[i][c] = silu(x[i][c]) * x[i][width + c]: gate then up, side by side.       Shazeer 2020
//   x [rows, 2 * width]   y [rows, width]
void SwiGlu(Context& context, Rows<const float> x, Rows<float> y);
// dx [rows, 2 * width] from dy [rows, width]; dx is overwritten and may be x's own memory.
void SwiGluBackward(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dx);

}  // namespace kinetok
