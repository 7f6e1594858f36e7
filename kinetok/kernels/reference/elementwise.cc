#include "kinetok/kernels/reference/elementwise.h"

namespace kinetok::reference {

double SumOfSquares(Span<const float> x) {
  long double sum = 0;
  for (const float v : x) sum += static_cast<long double>(v) * v;
  return static_cast<double>(sum);
}

}  // namespace kinetok::reference
