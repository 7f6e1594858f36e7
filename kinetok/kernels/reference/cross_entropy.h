// Cross-entropy in double precision, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok::reference {

std::vector<double> LogSoftmax(const std::vector<double>& logits);      // one row
double CrossEntropy(const std::vector<double>& logits, int64_t label);  // one row; 0 when label < 0

}  // namespace kinetok::reference
