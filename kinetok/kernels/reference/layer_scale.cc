#include "kinetok/kernels/reference/layer_scale.h"

#include <cstddef>

namespace kinetok::reference {

std::vector<double> LayerScale(const std::vector<double>& x, const std::vector<double>& gamma) {
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = gamma[i % gamma.size()] * x[i];
  return y;
}

LayerScaleGradient LayerScaleBackward(const std::vector<double>& dy, const std::vector<double>& x,
                                      const std::vector<double>& gamma) {
  LayerScaleGradient g{LayerScale(dy, gamma), std::vector<double>(gamma.size())};
  for (std::size_t i = 0; i < x.size(); ++i) g.dgamma[i % gamma.size()] += dy[i] * x[i];
  return g;
}

}  // namespace kinetok::reference
