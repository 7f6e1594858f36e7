#include "kinetok/kernels/reference/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace kinetok::reference {

std::vector<double> LogSoftmax(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - max);
  std::vector<double> y;
  for (const double x : logits) y.push_back(x - max - std::log(sum));
  return y;
}

double CrossEntropy(const std::vector<double>& logits, int64_t label) {
  return label < 0 ? 0 : -LogSoftmax(logits)[label];
}

}  // namespace kinetok::reference
