#include "kinetok/io/example.h"

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/base/random.h"

namespace kinetok {

int64_t Example::labelled() const {
  return std::count_if(labels.begin(), labels.end(), [](int32_t label) { return label != kNoLabel; });
}

int64_t ShuffledIndex(uint64_t seed, uint64_t index, int64_t n) {
  KINETOK_CHECK(n > 0);
  const uint64_t epoch = index / static_cast<uint64_t>(n);
  uint64_t x = index % static_cast<uint64_t>(n);
  // A Feistel network over an even number of bits, applied until it ends below n (Black and Rogaway 2002).
  int half = 1;
  while (half < 31 && (uint64_t{1} << (2 * half)) < static_cast<uint64_t>(n)) ++half;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = x >> half, right = x & mask;
    for (uint32_t round = 0; round < 4; ++round) {
      const Philox4 bits = RandomBits(seed, RandomStream::kShuffle, round, (epoch << 32) ^ right);
      left ^= bits[0] & mask;
      std::swap(left, right);
    }
    x = (left << half) | right;
  } while (x >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(x);
}

}  // namespace kinetok
