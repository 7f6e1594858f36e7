#include "kinetok/kernels/reference/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace kinetok::reference {

std::vector<double> LogSoftmax(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - max);
  std::vector<double> y;
  y.reserve(logits.size());
  for (const double x : logits) y.push_back(x - max - std::log(sum));
  return y;
}

double CrossEntropy(const std::vector<double>& logits, int64_t label) {
  return label < 0 ? 0 : -LogSoftmax(logits)[label];
}

std::vector<double> CrossEntropyBackward(double weight, const std::vector<double>& logits, int64_t label) {
  std::vector<double> gradient(logits.size());
  if (label < 0) return gradient;
  const std::vector<double> log_p = LogSoftmax(logits);
  for (size_t c = 0; c < logits.size(); ++c) gradient[c] = weight * std::exp(log_p[c]);
  gradient[label] -= weight;
  return gradient;
}

}  // namespace kinetok::reference
