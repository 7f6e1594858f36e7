#include "kinetok/kernels/probe.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/simd.h"

namespace kinetok::KINETOK_TARGET {
namespace {

// Sums `streams` neighbouring pieces of `length` floats each, side by side, 128 bytes of each in turn.
template <bool kPrefetch>
F32x16 ReadStreams(const float* data, int64_t length, int streams, int64_t prefetch_bytes) {
  F32x16 sum[3] = {Zero(), Zero(), Zero()};
  for (int64_t j = 0; j + 32 <= length; j += 32) {
    const float* p = data + j;
    for (int s = 0; s < streams; ++s, p += length) {
      if (kPrefetch) {
        Prefetch(reinterpret_cast<const char*>(p) + prefetch_bytes);
        Prefetch(reinterpret_cast<const char*>(p) + prefetch_bytes + 64);
      }
      sum[0] = Add(sum[0], Load(p));
      sum[1] = Add(sum[1], Load(p + 16));
    }
  }
  for (int s = 0; s < streams; ++s) {
    for (int64_t j = length / 32 * 32; j < length; ++j) sum[2] = Add(sum[2], LoadN(data + s * length + j, 1));
  }
  return Add(Add(sum[0], sum[1]), sum[2]);
}

#if defined(KINETOK_TARGET_avx512)
constexpr int kChains = 24;
#else
constexpr int kChains = 6;  // of two registers each
#endif

}  // namespace

float ReadProbe(Context& context, Span<const float> data, int streams, int64_t prefetch_bytes) {
  // Pieces small enough that a slow core leaves work to the others, long enough that streams are streams.
  constexpr int64_t kPieceFloats = int64_t{1} << 20;
  const auto n = static_cast<int64_t>(data.size());
  const int64_t pieces = (n + kPieceFloats - 1) / kPieceFloats;
  auto* sums = reinterpret_cast<float*>(context.SharedScratch(pieces * 4).data());
  ParallelFor(context, n, kPieceFloats, [&](int64_t first, int64_t last, int) {
    const int64_t length = (last - first) / streams;
    F32x16 sum = prefetch_bytes > 0 ? ReadStreams<true>(data.data() + first, length, streams, prefetch_bytes)
                                    : ReadStreams<false>(data.data() + first, length, streams, 0);
    for (int64_t j = first + length * streams; j < last; ++j) sum = Add(sum, LoadN(data.data() + j, 1));
    sums[first / kPieceFloats] = ReduceSum(sum);
  });
  float total = 0;
  for (int64_t i = 0; i < pieces; ++i) total += sums[i];
  return total;
}

int64_t FmaProbe(Context& context, int64_t iterations) {
  const int64_t tasks = context.threads();
  auto* sums = reinterpret_cast<float*>(context.SharedScratch(tasks * 64).data());
  ParallelFor(context, tasks, 1, [&](int64_t task, int64_t, int) {
    // Every lane differs, or the compiler would compute equal halves of a lane group once.
    alignas(64) float start[16 * kChains];
    for (int i = 0; i < 16 * kChains; ++i) start[i] = static_cast<float>(i);
    F32x16 chain[kChains];
#pragma GCC unroll 32
    for (int c = 0; c < kChains; ++c) chain[c] = Load(start + 16 * c);
    const F32x16 x = Set(0.5f), y = Set(static_cast<float>(task));
    for (int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 32
      for (int c = 0; c < kChains; ++c) chain[c] = Fma(x, chain[c], y);
    }
    F32x16 sum = Zero();
    for (int c = 0; c < kChains; ++c) sum = Add(sum, chain[c]);
    Store(sums + task * 16, sum);
  });
  return tasks * iterations * kChains * 32;
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include "kinetok/base/error.h"

namespace kinetok {

KINETOK_DECLARE(float, ReadProbe, (Context&, Span<const float>, int, int64_t))
KINETOK_DECLARE(int64_t, FmaProbe, (Context&, int64_t))

float ReadProbe(Context& context, Span<const float> data, int streams, int64_t prefetch_bytes) {
  KINETOK_CHECK(streams >= 1 && streams <= 16 && prefetch_bytes >= 0);
  KINETOK_CALL(ReadProbe, context, data, streams, prefetch_bytes);
}

int64_t FmaProbe(Context& context, int64_t iterations) {
  KINETOK_CALL(FmaProbe, context, iterations);
}

}  // namespace kinetok

#endif
