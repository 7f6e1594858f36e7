#include "kinetok/kernels/reference/elementwise.h"

namespace kinetok::reference {

std::vector<double> Dropout(const std::vector<double>& x, const std::vector<bool>& keep, double p) {
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = keep[i] ? x[i] / (1 - p) : 0;
  return y;
}

std::vector<double> DropoutBackward(const std::vector<double>& dy, const std::vector<bool>& keep, double p) {
  std::vector<double> dx(dy.size());
  for (size_t i = 0; i < dy.size(); ++i) dx[i] = keep[i] ? dy[i] / (1 - p) : 0;
  return dx;
}

double SumOfSquares(Span<const float> x) {
  long double sum = 0;
  for (const float v : x) sum += static_cast<long double>(v) * v;
  return static_cast<double>(sum);
}

}  // namespace kinetok::reference
