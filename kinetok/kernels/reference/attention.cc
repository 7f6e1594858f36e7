#include "kinetok/kernels/reference/attention.h"

#include <algorithm>
#include <cmath>

namespace kinetok::reference {
namespace {

double Score(const AttentionProblem& p, int64_t row, int64_t head, int64_t key) {
  double sum = 0;
  for (int64_t d = 0; d < p.head_dim; ++d) sum += p.q[p.QIndex(row, head) + d] * p.k[p.KvIndex(row, head, key) + d];
  return p.scale * sum;
}

double LogSum(const AttentionProblem& p, int64_t row, int64_t head) {
  double largest = -INFINITY, sum = 0;
  for (int64_t j = p.rows[row].first; j <= p.rows[row].last; ++j) largest = std::max(largest, Score(p, row, head, j));
  for (int64_t j = p.rows[row].first; j <= p.rows[row].last; ++j) sum += std::exp(Score(p, row, head, j) - largest);
  return largest + std::log(sum);
}

}  // namespace

std::vector<double> Probabilities(const AttentionProblem& p, int64_t row, int64_t head) {
  const double log_sum = LogSum(p, row, head);
  std::vector<double> out;
  for (int64_t j = p.rows[row].first; j <= p.rows[row].last; ++j) {
    out.push_back(std::exp(Score(p, row, head, j) - log_sum));
  }
  return out;
}

AttentionResult Attention(const AttentionProblem& p) {
  AttentionResult out;
  out.y.assign(p.q.size(), 0);
  for (int64_t i = 0; i < static_cast<int64_t>(p.rows.size()); ++i) {
    for (int64_t h = 0; h < p.heads; ++h) {
      const std::vector<double> probability = Probabilities(p, i, h);
      for (int64_t j = p.rows[i].first; j <= p.rows[i].last; ++j) {
        const double kept = probability[j - p.rows[i].first] * (p.keep ? p.keep(i, h, j) : 1);
        for (int64_t d = 0; d < p.head_dim; ++d) out.y[p.QIndex(i, h) + d] += kept * p.v[p.KvIndex(i, h, j) + d];
      }
      out.log_sum.push_back(LogSum(p, i, h));
    }
  }
  return out;
}

AttentionGradients AttentionBackward(const AttentionProblem& p, const std::vector<double>& dy) {
  AttentionGradients out;
  out.dq.assign(p.q.size(), 0);
  out.dk.assign(p.k.size(), 0);
  out.dv.assign(p.v.size(), 0);
  for (int64_t i = 0; i < static_cast<int64_t>(p.rows.size()); ++i) {
    for (int64_t h = 0; h < p.heads; ++h) {
      const std::vector<double> probability = Probabilities(p, i, h);
      const int64_t first = p.rows[i].first, count = static_cast<int64_t>(probability.size()), q = p.QIndex(i, h);
      std::vector<double> dp(count);  // the gradient of the probabilities
      double mean = 0;                // their mean under the softmax
      for (int64_t j = 0; j < count; ++j) {
        const double keep = p.keep ? p.keep(i, h, first + j) : 1;
        const int64_t kv = p.KvIndex(i, h, first + j);
        for (int64_t d = 0; d < p.head_dim; ++d) {
          dp[j] += keep * dy[q + d] * p.v[kv + d];
          out.dv[kv + d] += keep * probability[j] * dy[q + d];
        }
        mean += probability[j] * dp[j];
      }
      for (int64_t j = 0; j < count; ++j) {
        const double ds = p.scale * probability[j] * (dp[j] - mean);
        const int64_t kv = p.KvIndex(i, h, first + j);
        for (int64_t d = 0; d < p.head_dim; ++d) {
          out.dq[q + d] += ds * p.k[kv + d];
          out.dk[kv + d] += ds * p.q[q + d];
        }
      }
    }
  }
  return out;
}

}  // namespace kinetok::reference
