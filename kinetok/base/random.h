// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel Random Numbers: As Easy as
// 1, 2, 3"). A draw is a pure function of a key and a counter, so it never depends on threads, batches or history.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace kinetok {

using Philox4 = std::array<uint32_t, 4>;

// Ten rounds over `counter` with the 64-bit key `seed`.
constexpr Philox4 Philox(uint64_t seed, Philox4 counter) {
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// The streams of one seed: who draws. Two streams never share a number.
enum class RandomStream : uint32_t {
  kSample = 1,
  kInit = 2,
  kData = 3,
  kDropout = 4,
  kTest = 5,
  kShots = 6,
  kShuffle = 7,
  kAugment = 8,
  kLora = 9,
  kNoise = 10,
  kScene = 11
};

// 128 bits for (stream, a, b): e.g. (kSample, sequence, position) or (kData, 0, global sample index).
constexpr Philox4 RandomBits(uint64_t seed, RandomStream stream, uint32_t a, uint64_t b) {
  return Philox(seed, {static_cast<uint32_t>(b), static_cast<uint32_t>(b >> 32), a, static_cast<uint32_t>(stream)});
}

// Uniform in [0, 1) with 53 bits, from two words.
constexpr double UniformDouble(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} << 21) ^ (low >> 11);
  return static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

// Uniform in {0, ..., n-1}, n > 0; bias below 2^-32 (multiply-shift on 64 bits).
constexpr uint64_t UniformBelow(const Philox4& bits, uint64_t n) {
  const uint64_t x = (uint64_t{bits[0]} << 32) | bits[1];
  return static_cast<uint64_t>((static_cast<unsigned __int128>(x) * n) >> 64);
}

// Elements first, first + 1, ... of an endless list of normal(0, deviation) numbers, which (seed, stream, a) names (Box
// and Muller 1958): a function of these and the element alone.
void FillNormal(uint64_t seed, RandomStream stream, uint32_t a, int64_t first, double deviation, std::span<float> out);

}  // namespace kinetok
