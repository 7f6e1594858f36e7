// Dropout and sums of squares in higher precision, for tests and benchmarks.
#pragma once

#include <vector>

#include "kinetok/tensor/views.h"

namespace kinetok::reference {

// x / (1 - p) where kept, else 0. The backward pass is the same map of dy.
std::vector<double> Dropout(const std::vector<double>& x, const std::vector<bool>& keep, double p);
std::vector<double> DropoutBackward(const std::vector<double>& dy, const std::vector<bool>& keep, double p);

double SumOfSquares(Span<const float> x);

}  // namespace kinetok::reference
