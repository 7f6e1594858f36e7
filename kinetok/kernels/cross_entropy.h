// Next-token cross-entropy: the loss of GPT's training, and the log-probabilities of decoding.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// For every row i: losses[i] = log(sum_c exp(logits[i][c])) - logits[i][labels[i]], or 0 when labels[i] < 0 (ignored).
//   logits [rows, vocabulary]   labels, weights, losses [rows]
// When `weights` is not empty the logits are replaced by their gradient, weights[i] * (softmax(logits[i]) - onehot):
// 0 for an ignored row. Order: 16 lanes over the vocabulary, max first, then the fixed tree.
void CrossEntropy(Context& context, Span<const int32_t> labels, Span<const float> weights, Rows<float> logits,
                  Span<float> losses);

// y[i][c] = logits[i][c] - log(sum_c exp(logits[i][c])); y may be logits.
void LogSoftmax(Context& context, Rows<const float> logits, Rows<float> y);

}  // namespace kinetok
