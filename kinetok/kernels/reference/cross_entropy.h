// Cross-entropy in double precision, for tests and benchmarks. One row each.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok::reference {

std::vector<double> LogSoftmax(const std::vector<double>& logits);
double CrossEntropy(const std::vector<double>& logits, int64_t label);  // 0 when label < 0
// weight (softmax(logits) - onehot(label)); zeros when label < 0.
std::vector<double> CrossEntropyBackward(double weight, const std::vector<double>& logits, int64_t label);

}  // namespace kinetok::reference
