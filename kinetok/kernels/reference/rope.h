// Rotary position embedding in double precision, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok::reference {

// One head of one row: x [head_dim] rotated to `position`, or back from it: the backward pass.
std::vector<double> Rope(const std::vector<double>& x, int64_t position, double theta, bool inverse = false);

}  // namespace kinetok::reference
