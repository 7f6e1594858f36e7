// Table look-up in double precision, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok::reference {

// y[i] = table[ids[i]]                                                  table [rows, width]   y [ids, width]
std::vector<double> Embed(const std::vector<int32_t>& ids, const std::vector<double>& table, int64_t width);
// The gradient of sum_ic dy[i][c] y[i][c]: dtable[ids[i]] += dy[i], from zeros.            dtable [rows, width]
std::vector<double> EmbedBackward(const std::vector<int32_t>& ids, const std::vector<double>& dy, int64_t rows,
                                  int64_t width);

}  // namespace kinetok::reference
