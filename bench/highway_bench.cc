// The innermost loops of the matrix kernels, on this project's sixteen lanes and on Google Highway's vectors, in turns:
// what docs/dependencies.md says of Highway. One program for each instruction set (HWY_COMPILE_ONLY_STATIC).
//
//   highway_bench_avx2, highway_bench_avx512
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/kernels/cpu/tile.h"

namespace kinetok::KINETOK_TARGET {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
#if defined(KINETOK_TARGET_avx512)
static_assert(HWY_MAX_BYTES == 64, "Highway's AVX-512 baseline needs more compiler flags");
#else
static_assert(HWY_MAX_BYTES == 32, "Highway's AVX2 baseline needs more compiler flags");
#endif
constexpr int kWidth = HWY_MAX_BYTES / 4;            // floats of a vector
constexpr int kVectors = 16 * kTilePanels / kWidth;  // vectors of a tile's row

// tile.h's Tile<F32Panel, kRowMajor, false, kTileRows, kTilePanels>.
void HighwayTile(const float* a, int64_t a_stride, const float* b, int64_t panel_stride, int64_t k, float* c) {
  const D d;
  V acc[kTileRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::LoadU(d, c + i * 16 * kTilePanels + v * kWidth);
  }
  for (int64_t j = 0; j < k; ++j) {
    V lanes[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      lanes[v] = hn::LoadU(d, b + v * kWidth / 16 * panel_stride + 16 * j + v * kWidth % 16);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) {
      const V x = hn::Set(d, a[i * a_stride + j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(x, lanes[v], acc[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[i][v], d, c + i * 16 * kTilePanels + v * kWidth);
  }
}

void OurTile(const float* a, int64_t a_stride, const float* b, int64_t panel_stride, int64_t k, float* c) {
  Tile<F32Panel, ATile::kRowMajor, false, kTileRows, kTilePanels>(a, a_stride, b, panel_stride, k,
                                                                  {c, 16 * kTilePanels, c, 16 * kTilePanels});
}

template <class F>
double Seconds(F&& fn) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20000; ++i) fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 20000;
}

int Main(Isa isa) {
  if (!IsaSupported(isa)) {
    std::printf("%s: this CPU lacks it\n", std::string(IsaName(isa)).c_str());
    return 0;
  }
  constexpr int64_t kDepth = 192;
  std::vector<float> a(kTileRows * kDepth), b(kTilePanels * 16 * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 17) / 16 - 0.5f;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 23) / 22 - 0.5f;
  std::vector<float> ours(kTileRows * kTilePanels * 16 + 1024), theirs(ours.size());
  OurTile(a.data(), kDepth, b.data(), 16 * kDepth, kDepth, ours.data());
  HighwayTile(a.data(), kDepth, b.data(), 16 * kDepth, kDepth, theirs.data());
  const bool same = std::memcmp(ours.data(), theirs.data(), kTileRows * kTilePanels * 64) == 0;
  std::vector<double> ratios, rates;
  const double operations = 2.0 * kTileRows * kTilePanels * 16 * kDepth;
  for (int round = 0; round < 21; ++round) {
    const double x = Seconds([&] { OurTile(a.data(), kDepth, b.data(), 16 * kDepth, kDepth, ours.data()); });
    const double y = Seconds([&] { HighwayTile(a.data(), kDepth, b.data(), 16 * kDepth, kDepth, theirs.data()); });
    ratios.push_back(y / x);
    rates.push_back(operations / x / 1e9);
  }
  std::nth_element(ratios.begin(), ratios.begin() + 10, ratios.end());
  std::nth_element(rates.begin(), rates.begin() + 10, rates.end());
  std::printf("%s: tile %d x %d, %.1f GFLOP/s on one thread; Highway's time / ours %.3f; %s bits\n",
              std::string(IsaName(isa)).c_str(), kTileRows, 16 * kTilePanels, rates[10], ratios[10],
              same ? "the same" : "OTHER");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace kinetok::KINETOK_TARGET

int main() {
#if defined(KINETOK_TARGET_avx512)
  return kinetok::avx512::Main(kinetok::Isa::kAvx512);
#else
  return kinetok::avx2::Main(kinetok::Isa::kAvx2);
#endif
}
