#include "kinetok/kernels/reference/embedding.h"

namespace kinetok::reference {

std::vector<double> Embed(const std::vector<int32_t>& ids, const std::vector<double>& table, int64_t width) {
  std::vector<double> y;
  for (const int32_t id : ids) y.insert(y.end(), table.begin() + id * width, table.begin() + (id + 1) * width);
  return y;
}

std::vector<double> EmbedBackward(const std::vector<int32_t>& ids, const std::vector<double>& dy, int64_t rows,
                                  int64_t width) {
  std::vector<double> dtable(rows * width);
  for (int64_t i = 0; i < static_cast<int64_t>(ids.size()); ++i) {
    for (int64_t c = 0; c < width; ++c) dtable[ids[i] * width + c] += dy[i * width + c];
  }
  return dtable;
}

}  // namespace kinetok::reference
