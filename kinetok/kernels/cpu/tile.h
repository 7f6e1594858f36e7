// The innermost loop of every matrix product: a tile of `rows` x `panels` accumulators (a panel is 16 columns), each
// one chain of fused multiply-adds with k ascending. Included only by kernel code compiled for a target (dispatch.h).
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "kinetok/kernels/cpu/simd.h"

namespace kinetok::KINETOK_TARGET {

// The largest tile whose accumulators, one row of B and one broadcast of A fit in the registers.
#if defined(KINETOK_TARGET_avx512)
inline constexpr int kTileRows = 9, kTilePanels = 3;
inline constexpr int kAccumulators = 24;  // of tiles with few rows, which read B from memory
inline constexpr int kStreams = 8;        // panels read side by side, at most
#elif defined(KINETOK_TARGET_avx2)
inline constexpr int kTileRows = 6, kTilePanels = 1;  // a panel is two registers here
inline constexpr int kAccumulators = 6;
inline constexpr int kStreams = 6;
#else
inline constexpr int kTileRows = 4, kTilePanels = 1;
inline constexpr int kAccumulators = 4;
inline constexpr int kStreams = 4;
#endif

// How B is stored: [k][16] elements of a panel.
struct F32Panel {
  using Element = float;
  static KINETOK_INLINE F32x16 LoadLanes(const float* p) { return Load(p); }
};
struct F16Panel {
  using Element = uint16_t;
  static KINETOK_INLINE F32x16 LoadLanes(const uint16_t* p) { return LoadF16(p); }
};
struct BF16Panel {
  using Element = uint16_t;
  static KINETOK_INLINE F32x16 LoadLanes(const uint16_t* p) { return LoadBF16(p); }
};

// How A is stored: element (i, k) at a[i * stride + k], or at a[k * stride + i].
enum class ATile { kRowMajor, kTransposed };

// Rows that a strided operand is asked for ahead: strides this long are beyond the hardware's guesses.
inline constexpr int64_t kAhead = 16;

// Where the chains start and where they end, and how far ahead B is asked for. init_stride 0 starts every row from the
// same values (a bias).
struct TileOutput {
  const float* init;
  int64_t init_stride;
  float* c;
  int64_t stride;
  int64_t prefetch_bytes = 0;
};

// c[i][16 p + lane] = init[i][16 p + lane] + sum_k a(i, k) b[p * panel_stride + 16 k + lane]
// With kFromMemory each panel is asked for prefetch_bytes ahead: hardware alone does not keep many streams going.
template <class Panel, ATile kA, bool kFromMemory, int kRows, int kPanels>
inline void Tile(const float* a, int64_t a_stride, const typename Panel::Element* b, int64_t panel_stride, int64_t k,
                 TileOutput out) {
  F32x16 acc[kRows][kPanels];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) {
      acc[i][p] = Load(out.init + i * out.init_stride + 16 * p);
      if (!kFromMemory) Prefetch(out.c + (kRows + i) * out.stride + 16 * p);  // most likely the next tile's start
    }
  }
  const auto step = [&](int64_t j) __attribute__((always_inline)) {
    F32x16 lanes[kPanels];
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) lanes[p] = Panel::LoadLanes(b + p * panel_stride + 16 * j);
    if (kA == ATile::kTransposed) Prefetch(a + (j + kAhead) * a_stride + kRows);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const F32x16 x = Set(kA == ATile::kRowMajor ? a[i * a_stride + j] : a[j * a_stride + i]);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) acc[i][p] = Fma(x, lanes[p], acc[i][p]);
    }
  };
  int64_t j = 0;
  if constexpr (kFromMemory) {
    constexpr int kLine = 4 / static_cast<int>(sizeof(typename Panel::Element));  // of k, in 64 bytes
    for (; j + kLine <= k; j += kLine) {
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) {
        Prefetch(reinterpret_cast<const char*>(b + p * panel_stride + 16 * j) + out.prefetch_bytes);
      }
      step(j);
      if constexpr (kLine == 2) step(j + 1);
    }
  }
  for (; j < k; ++j) step(j);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) Store(out.c + i * out.stride + 16 * p, acc[i][p]);
  }
}

template <class Panel>
using TileFunction = void (*)(const float*, int64_t, const typename Panel::Element*, int64_t, int64_t, TileOutput);

// Every tile of a product with many rows: kTiles<...>[rows - 1][panels - 1].
template <ATile kA, int kRows, int... kPanels>
constexpr auto TileRow(std::integer_sequence<int, kPanels...>) {
  return std::array<TileFunction<F32Panel>, sizeof...(kPanels)>{&Tile<F32Panel, kA, false, kRows, kPanels + 1>...};
}
template <ATile kA, int... kRows>
constexpr auto TileTable(std::integer_sequence<int, kRows...>) {
  return std::array{TileRow<kA, kRows + 1>(std::make_integer_sequence<int, kTilePanels>())...};
}
template <ATile kA>
inline constexpr auto kTiles = TileTable<kA>(std::make_integer_sequence<int, kTileRows>());

// Tiles with few rows read as many panels side by side as the registers allow, straight from memory.
constexpr int PanelsBeside(int rows) {
  const int panels = kAccumulators / rows;
  return panels > kStreams ? kStreams : panels;
}
inline constexpr int kFewRows = kTileRows > 8 ? 8 : kTileRows;

template <class Panel, int kRows, int... kPanels>
constexpr auto FewRow(std::integer_sequence<int, kPanels...>) {
  return std::array<TileFunction<Panel>, kStreams>{&Tile<Panel, ATile::kRowMajor, true, kRows, kPanels + 1>...};
}
template <class Panel, int... kRows>
constexpr auto FewTable(std::integer_sequence<int, kRows...>) {
  return std::array{FewRow<Panel, kRows + 1>(std::make_integer_sequence<int, PanelsBeside(kRows + 1)>())...};
}
// kFewRowTiles<>[rows - 1][panels - 1], panels <= PanelsBeside(rows).
template <class Panel>
inline constexpr auto kFewRowTiles = FewTable<Panel>(std::make_integer_sequence<int, kFewRows>());

}  // namespace kinetok::KINETOK_TARGET
