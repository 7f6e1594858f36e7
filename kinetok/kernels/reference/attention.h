// Attention in double precision, as plain as it is written: no blocks, no running maximum.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kinetok/kernels/attention.h"

namespace kinetok::reference {

struct AttentionProblem {
  std::vector<AttentionRow> rows;
  int64_t sequences = 0, length = 0;  // keys of every sequence
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 1;
  std::vector<double> q;                                               // [rows][heads * head_dim]
  std::vector<double> k, v;                                            // [sequences][length][kv_heads * head_dim]
  std::function<double(int64_t row, int64_t head, int64_t key)> keep;  // 0 or 1 / (1 - p); empty without dropout

  int64_t QIndex(int64_t row, int64_t head) const { return (row * heads + head) * head_dim; }
  int64_t KvIndex(int64_t row, int64_t head, int64_t key) const {
    const int64_t kv_head = head / (heads / kv_heads);
    return ((rows[row].sequence * length + key) * kv_heads + kv_head) * head_dim;
  }
};

struct AttentionResult {
  std::vector<double> y, log_sum;  // [rows][heads * head_dim], [rows][heads]
};
AttentionResult Attention(const AttentionProblem& problem);

// The softmax of one row and head over its keys first..last, before dropout.
std::vector<double> Probabilities(const AttentionProblem& problem, int64_t row, int64_t head);

struct AttentionGradients {
  std::vector<double> dq, dk, dv;  // shaped as q, k and v
};
// The gradients of sum_i dy[i] y[i].
AttentionGradients AttentionBackward(const AttentionProblem& problem, const std::vector<double>& dy);

}  // namespace kinetok::reference
