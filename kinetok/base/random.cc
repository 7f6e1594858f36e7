#include "kinetok/base/random.h"

#include <cmath>

#include "kinetok/base/math.h"

namespace kinetok {

void FillNormal(uint64_t seed, RandomStream stream, uint32_t a, int64_t first, double deviation, std::span<float> out) {
  // One pair of normals a counter: element e belongs to pair e / 2.
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  for (size_t i = 0; i < out.size();) {
    const int64_t element = first + static_cast<int64_t>(i);
    const Philox4 bits = RandomBits(seed, stream, a, static_cast<uint64_t>(element / 2));
    const double radius = std::sqrt(-2 * Log(1 - UniformDouble(bits[0], bits[1])));
    const double angle = kTwoPi * UniformDouble(bits[2], bits[3]);
    if (element % 2 == 0) {
      out[i++] = static_cast<float>(deviation * radius * Cos(angle));
      if (i == out.size()) break;
    }
    out[i++] = static_cast<float>(deviation * radius * Sin(angle));
  }
}

}  // namespace kinetok
