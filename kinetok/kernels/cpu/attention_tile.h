// What the two directions of attention share: a tile of (row, query head) pairs that read the same KV head, the keys
// of a block that each of them sees, and the register-blocked product. Included only by code compiled for a target.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kinetok/kernels/attention.h"
#include "kinetok/kernels/cpu/simd.h"

namespace kinetok::KINETOK_TARGET {

// Pairs in a tile: few enough that the scores, the running output and a block of keys or values share the first-level
// cache, many enough that a block is read seldom.
inline constexpr int kTilePairs = 48;

// Rows of a product that one pass keeps in registers; the same on every target, because it also rounds the ranges that
// the backward pass walks. How many vectors wide a pass is depends on the registers: 6 x 4 of 32, or 6 x 2 of 16.
inline constexpr int kGroup = 6;
#if defined(KINETOK_TARGET_avx512)
inline constexpr int kGroupVectors = 4;
#else
inline constexpr int kGroupVectors = 1;
#endif

constexpr int64_t PaddedWidth(int64_t width) {
  return (width + kLanes - 1) / kLanes * kLanes;
}

// Consecutive rows of one sequence.
struct RowRange {
  int64_t first, count;
};

// Writes the ranges of at most `longest` rows that share a sequence; returns how many there are.
KINETOK_INLINE int64_t SplitRows(Span<const AttentionRow> rows, int64_t longest, RowRange* ranges) {
  int64_t count = 0;
  const int64_t n = static_cast<int64_t>(rows.size());
  for (int64_t i = 0; i < n; ++i) {
    const bool joins = i > 0 && rows[i].sequence == rows[i - 1].sequence && ranges[count - 1].count < longest;
    if (joins) {
      ++ranges[count - 1].count;
    } else {
      ranges[count++] = {i, 1};
    }
  }
  return count;
}

// How a tile covers the `group` query heads of a KV head: `heads` of them in `rows` rows.
struct TileShape {
  int64_t heads, rows, head_tiles;
};
KINETOK_INLINE TileShape ShapeOfTile(int64_t group) {
  const int64_t heads = group < kTilePairs ? group : kTilePairs;
  return {heads, kTilePairs / heads, (group + heads - 1) / heads};
}

struct Tile {
  int count = 0;
  int64_t row[kTilePairs], head[kTilePairs];
  int first[kTilePairs], last[kTilePairs];  // visible positions
};

KINETOK_INLINE void FillTile(Span<const AttentionRow> rows, RowRange range, int64_t first_head, int64_t last_head,
                             Tile& tile) {
  tile.count = 0;
  for (int64_t i = range.first; i < range.first + range.count; ++i) {
    for (int64_t h = first_head; h < last_head; ++h) {
      const int t = tile.count++;
      tile.row[t] = i;
      tile.head[t] = h;
      tile.first[t] = rows[i].first;
      tile.last[t] = rows[i].last;
    }
  }
}

// The pairs of a tile that see a block, and which of its keys: first..last, both within 0..kKeyBlock-1.
struct VisiblePairs {
  int count = 0;
  int pair[kTilePairs], first[kTilePairs], last[kTilePairs];
};

KINETOK_INLINE void FindVisible(const Tile& tile, int64_t block, VisiblePairs& visible) {
  const int base = static_cast<int>(block * kKeyBlock), end = static_cast<int>(kKeyBlock) - 1;
  visible.count = 0;
  for (int t = 0; t < tile.count; ++t) {
    const int first = tile.first[t] > base ? tile.first[t] - base : 0;
    const int last = tile.last[t] - base < end ? tile.last[t] - base : end;
    if (first > last) continue;
    const int a = visible.count++;
    visible.pair[a] = t;
    visible.first[a] = first;
    visible.last[a] = last;
  }
}

// x in the lanes of vector `v` whose keys are first..last, `other` elsewhere; some lane must be visible.
KINETOK_INLINE F32x16 KeepVisible(F32x16 x, int v, int first, int last, F32x16 other) {
  if (last < v * kLanes + kLanes - 1) x = Select(FirstN(last + 1 - v * kLanes), x, other);
  if (first > v * kLanes) x = Select(FirstN(first - v * kLanes), other, x);
  return x;
}

// fn(integral_constant<int, R>, i): i walks [0, n) in groups of R = kGroup, then 2, then 1.
template <class F>
KINETOK_INLINE void ForGroups(int n, F&& fn) {
  int i = 0;
  for (; i + kGroup <= n; i += kGroup) fn(std::integral_constant<int, kGroup>{}, i);
  for (; i + 2 <= n; i += 2) fn(std::integral_constant<int, 2>{}, i);
  if (i < n) fn(std::integral_constant<int, 1>{}, i);
}

// R rows by V vectors of Multiply, in registers. kTail: the one vector has `tail` elements; c is padded.
template <int R, int V, bool kTail>
void MultiplyGroup(const float* const* a, int64_t a_step, const float* b, int64_t b_stride, int64_t steps,
                   float* const* c, int64_t column, bool accumulate, int tail) {
  F32x16 sum[R][V];
  const float* row[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    row[r] = a[r];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[r][v] = accumulate ? Load(c[r] + column + v * kLanes) : Zero();
  }
  b += column;
  for (int64_t k = 0, at = 0; k < steps; ++k, at += a_step, b += b_stride) {
    F32x16 x[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) x[v] = kTail ? LoadN(b + v * kLanes, tail) : Load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F32x16 factor = Set(row[r][at]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = Fma(factor, x[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) Store(c[r] + column + v * kLanes, sum[r][v]);
  }
}

// c[r][j] = (accumulate ? c[r][j] : 0) + sum_k a[r][k * a_step] * b[k * b_stride + j] for R rows and j < width: one
// fused multiply-add per k, k < steps ascending. c has room for PaddedWidth(width).
template <int R>
void Multiply(const float* const* a, int64_t a_step, const float* b, int64_t b_stride, int64_t steps, float* const* c,
              int64_t width, bool accumulate) {
  int64_t j = 0;
  if constexpr (kGroupVectors == 4) {
    for (; j + 4 * kLanes <= width; j += 4 * kLanes) {
      MultiplyGroup<R, 4, false>(a, a_step, b, b_stride, steps, c, j, accumulate, 0);
    }
    if (j + 3 * kLanes <= width) {
      MultiplyGroup<R, 3, false>(a, a_step, b, b_stride, steps, c, j, accumulate, 0);
      j += 3 * kLanes;
    } else if (j + 2 * kLanes <= width) {
      MultiplyGroup<R, 2, false>(a, a_step, b, b_stride, steps, c, j, accumulate, 0);
      j += 2 * kLanes;
    }
  }
  for (; j + kLanes <= width; j += kLanes) {
    MultiplyGroup<R, 1, false>(a, a_step, b, b_stride, steps, c, j, accumulate, 0);
  }
  if (j < width) {
    MultiplyGroup<R, 1, true>(a, a_step, b, b_stride, steps, c, j, accumulate, static_cast<int>(width - j));
  }
}

// The fixed tree of ReduceSum or ReduceMax (whose step is `op`) for sixteen vectors at once: lane i is that of x[i].
template <class Op>
KINETOK_INLINE F32x16 ReduceEach(const F32x16 (&x)[kLanes], Op op) {
  alignas(64) float columns[kLanes * kLanes];
  StoreTransposed(x, columns, kLanes);
  F32x16 t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) t[i] = op(Load(columns + i * kLanes), Load(columns + (i + 8) * kLanes));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) t[i] = op(t[i], t[i + 4]);
  return op(op(t[0], t[2]), op(t[1], t[3]));
}

// to[j][i] = from[i][j] for i < rows and j < columns; each row of `to` is padded with zeros to whole vectors.
inline void Transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
                      int64_t to_stride) {
  alignas(64) float block[kLanes * kLanes];
  for (int64_t i = 0; i < rows; i += kLanes) {
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int count = columns - j < kLanes ? static_cast<int>(columns - j) : kLanes;
      F32x16 x[kLanes];
      for (int r = 0; r < kLanes; ++r) x[r] = i + r < rows ? LoadN(from + (i + r) * from_stride + j, count) : Zero();
      StoreTransposed(x, block, count);
      for (int c = 0; c < count; ++c) Store(to + (j + c) * to_stride + i, Load(block + c * kLanes));
    }
  }
}

// The keys (transposed) and values of one KV head in a page.
struct PageHead {
  const float *k, *v;
};
KINETOK_INLINE PageHead HeadOfPage(const KvPages& kv, int64_t sequence, int64_t block, int64_t kv_head) {
  const float* k = kv.pages[sequence][block] + kv_head * 2 * kv.head_dim * kKeyBlock;
  return {k, k + kv.head_dim * kKeyBlock};
}

// Where dropout's random numbers for (head, key position) are.
KINETOK_INLINE int64_t DropoutColumn(int64_t head, int64_t position) {
  return head * kDropoutKeys + position;
}

}  // namespace kinetok::KINETOK_TARGET
