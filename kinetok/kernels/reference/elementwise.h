// Sums of squares in extended precision, for tests and benchmarks.
#pragma once

#include "kinetok/tensor/views.h"

namespace kinetok::reference {

double SumOfSquares(Span<const float> x);

}  // namespace kinetok::reference
