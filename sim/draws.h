// Random numbers of one episode, one after another: a function of seed, stream and episode alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kinetok/base/random.h"

namespace kinetok::sim {

class Draws {
 public:
  Draws(uint64_t seed, RandomStream stream, uint64_t episode) : seed_(seed), stream_(stream), episode_(episode) {}

  double Uniform(double low, double high) {
    const Philox4 bits = Next();
    return low + (high - low) * UniformDouble(bits[0], bits[1]);
  }
  // 0 .. n-1
  size_t Below(size_t n) { return UniformBelow(Next(), n); }
  bool Chance(double probability) { return Uniform(0, 1) < probability; }
  template <class T>
  const T& Choose(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

 private:
  Philox4 Next() { return RandomBits(seed_, stream_, count_++, episode_); }
  uint64_t seed_;
  RandomStream stream_;
  uint64_t episode_;
  uint32_t count_ = 0;
};

}  // namespace kinetok::sim
