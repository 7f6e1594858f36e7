// Blocked products over tiles: C = init + A B with the operands packed, widened or read in place, whichever suits how
// they are stored. Included only by kernel code compiled for a target (dispatch.h).
//
// k runs in blocks, so that the part of B that a tile row reads stays in the nearest caches; the chain of an element
// passes from block to block through C, unrounded (C is f32, as the accumulators are), so blocks change no bit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kinetok/kernels/cpu/tile.h"

namespace kinetok::KINETOK_TARGET {

#if defined(KINETOK_TARGET_avx512)
inline constexpr int64_t kBlockK = 384;      // three panels of B, 72 KB: longer blocks read and write C less often
inline constexpr int64_t kGroupsAtOnce = 4;  // tiles side by side in a task, packed together
#else
inline constexpr int64_t kBlockK = 256;  // one panel of B: 16 KB
inline constexpr int64_t kGroupsAtOnce = 12;
#endif
inline constexpr int64_t kBlockRows = 288;  // of A, for the second-level cache: kBlockRows * kBlockK * 4 bytes

// B, as an operand of [k][n] elements.
enum class BLayout {
  kPanels,      // panels of 16 columns, [k][16] f32: read in place
  kF16Panels,   // the same in f16: widened into scratch
  kBF16Panels,  // the same in bf16
  kRowMajor,    // element (k, j) at b[k * stride + j]: copied into scratch
  kTransposed,  // element (k, j) at b[j * stride + k]: transposed into scratch
};

struct Product {
  int64_t m, n, k;
  const float* a;  // element (i, k) at a[i * a_stride + k], or at a[k * a_stride + i] when a_transposed
  int64_t a_stride;
  bool a_transposed;
  const void* b;
  int64_t b_stride;  // of panels: the elements of one panel
  BLayout b_layout;
  const float* bias;  // where the chains start; null: from 0
  bool accumulate;    // or from what is in C
  float* c;
  int64_t c_stride;
};

// [0, n) in `parts` nearly equal pieces: where piece i begins.
KINETOK_INLINE int64_t PartBegin(int64_t n, int64_t parts, int64_t i) {
  return n * i / parts;
}
KINETOK_INLINE int64_t Parts(int64_t n, int64_t largest) {
  return n <= largest ? 1 : (n + largest - 1) / largest;
}

// Panels [first, last) of B, columns k0 to k0 + kc of the sum, into out [panel][kc][16].
inline void PackB(const Product& g, int64_t first, int64_t last, int64_t k0, int64_t kc, float* out) {
  for (int64_t p = first; p < last; ++p, out += 16 * kc) {
    const int width = static_cast<int>(std::min<int64_t>(16, g.n - 16 * p));
    if (g.b_layout == BLayout::kF16Panels || g.b_layout == BLayout::kBF16Panels) {
      const auto* b = static_cast<const uint16_t*>(g.b) + p * g.b_stride + 16 * k0;
      if (g.b_layout == BLayout::kF16Panels) {
        for (int64_t k = 0; k < kc; ++k) Store(out + 16 * k, LoadF16(b + 16 * k));
      } else {
        for (int64_t k = 0; k < kc; ++k) Store(out + 16 * k, LoadBF16(b + 16 * k));
      }
    } else if (g.b_layout == BLayout::kRowMajor) {
      const float* b = static_cast<const float*>(g.b) + k0 * g.b_stride + 16 * p;
      if (width == 16) {
        for (int64_t k = 0; k < kc; ++k) {
          Prefetch(b + (k + kAhead) * g.b_stride);
          Store(out + 16 * k, Load(b + k * g.b_stride));
        }
      } else {
        for (int64_t k = 0; k < kc; ++k) Store(out + 16 * k, LoadN(b + k * g.b_stride, width));
      }
    } else {
      const float* b = static_cast<const float*>(g.b) + 16 * p * g.b_stride + k0;
      for (int64_t k = 0; k < kc; k += 16) {
        const int depth = static_cast<int>(std::min<int64_t>(16, kc - k));
        F32x16 rows[16];
        if (width == 16 && depth == 16) {
#pragma GCC unroll 16
          for (int i = 0; i < 16; ++i) rows[i] = Load(b + i * g.b_stride + k);
        } else {
          for (int i = 0; i < 16; ++i) rows[i] = i < width ? LoadN(b + i * g.b_stride + k, depth) : Zero();
        }
        StoreTransposed(rows, out + 16 * k, depth);
      }
    }
  }
}

// The rows of one tile against panels [p0, p1) whose last is narrower than 16: through a buffer of whole panels.
inline void EdgeTile(const Product& g, TileFunction<F32Panel> tile, const float* a, int64_t a_stride, const float* b,
                     int64_t panel_stride, int64_t kc, int64_t i0, int64_t i1, int64_t p0, int64_t p1, bool from_c) {
  alignas(64) float edge[kTileRows * kTilePanels * 16];
  const int64_t width = (p1 - p0) * 16, used = g.n - 16 * p0;
  std::memset(edge, 0, sizeof edge);
  for (int64_t i = i0; i < i1; ++i) {
    const float* init = from_c ? g.c + i * g.c_stride : g.bias;
    if (init != nullptr) std::memcpy(edge + (i - i0) * width, init + 16 * p0, used * sizeof(float));
  }
  tile(a, a_stride, b, panel_stride, kc, {edge, width, edge, width});
  for (int64_t i = i0; i < i1; ++i) {
    std::memcpy(g.c + i * g.c_stride + 16 * p0, edge + (i - i0) * width, used * sizeof(float));
  }
}

// One block of k: rows [m0, m1) against panels [p0, p1), found at b [panel][kc][16] (panel_stride apart).
inline void MultiplyBlock(const Product& g, int64_t m0, int64_t m1, int64_t p0, int64_t p1, int64_t k0, int64_t kc,
                          const float* b, int64_t panel_stride) {
  alignas(64) static constexpr float kZeros[16 * kTilePanels] = {};
  const bool from_c = g.accumulate || k0 > 0;
  const int64_t tiles = Parts(m1 - m0, kTileRows), groups = Parts(p1 - p0, kTilePanels);
  const int64_t blocks = Parts(m1 - m0, kBlockRows);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t tile0 = PartBegin(tiles, blocks, block), tile1 = PartBegin(tiles, blocks, block + 1);
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t q0 = p0 + PartBegin(p1 - p0, groups, group), q1 = p0 + PartBegin(p1 - p0, groups, group + 1);
      const float* lanes = b + (q0 - p0) * panel_stride;
      const bool edge = 16 * q1 > g.n;
      for (int64_t t = tile0; t < tile1; ++t) {
        const int64_t i0 = m0 + PartBegin(m1 - m0, tiles, t), i1 = m0 + PartBegin(m1 - m0, tiles, t + 1);
        const float* a = g.a_transposed ? g.a + k0 * g.a_stride + i0 : g.a + i0 * g.a_stride + k0;
        const auto tile = g.a_transposed ? kTiles<ATile::kTransposed>[i1 - i0 - 1][q1 - q0 - 1]
                                         : kTiles<ATile::kRowMajor>[i1 - i0 - 1][q1 - q0 - 1];
        if (edge) {
          EdgeTile(g, tile, a, g.a_stride, lanes, panel_stride, kc, i0, i1, q0, q1, from_c);
          continue;
        }
        float* c = g.c + i0 * g.c_stride + 16 * q0;
        const float* start = g.bias != nullptr ? g.bias + 16 * q0 : kZeros;
        tile(a, g.a_stride, lanes, panel_stride, kc,
             from_c ? TileOutput{c, g.c_stride, c, g.c_stride} : TileOutput{start, 0, c, g.c_stride});
      }
    }
  }
}

// Rows [m0, m1) and panels [p0, p1) of C, over all of k. scratch: (p1 - p0) * 16 * kBlockK floats, unless B is read in
// place.
inline void Multiply(const Product& g, int64_t m0, int64_t m1, int64_t p0, int64_t p1, float* scratch) {
  const int64_t blocks = Parts(g.k, kBlockK);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t k0 = PartBegin(g.k, blocks, block), kc = PartBegin(g.k, blocks, block + 1) - k0;
    if (g.b_layout == BLayout::kPanels) {
      const float* b = static_cast<const float*>(g.b) + p0 * g.b_stride + 16 * k0;
      MultiplyBlock(g, m0, m1, p0, p1, k0, kc, b, g.b_stride);
    } else {
      PackB(g, p0, p1, k0, kc, scratch);
      MultiplyBlock(g, m0, m1, p0, p1, k0, kc, scratch, 16 * kc);
    }
  }
}

// Rows a multiple of a page apart fall on the same few sets of every cache, and push each other out: A is then read
// from a copy whose rows are not. Returns how many floats apart the copy's rows are, 0 when A may stay where it is.
KINETOK_INLINE int64_t CopyStride(const Product& g) {
  constexpr int64_t kPage = 1024;  // floats
  if (g.a_stride % kPage != 0 || g.m <= 2 * kTileRows || g.n <= 64) return 0;
  return ((g.a_transposed ? g.m : g.k) + kPage - 1) / kPage * kPage + 16;
}

// The whole product, in tasks that share neither outputs nor scratch. Overwrites the context's shared scratch.
inline void MultiplyInParallel(Context& context, Product g) {
  if (const int64_t stride = CopyStride(g); stride != 0) {
    const int64_t rows = g.a_transposed ? g.k : g.m, width = g.a_transposed ? g.m : g.k;
    auto* copy = reinterpret_cast<float*>(context.SharedScratch(rows * stride * 4).data());
    ParallelFor(context, rows, 32, [&](int64_t first, int64_t last, int) {
      for (int64_t i = first; i < last; ++i)
        std::memcpy(copy + i * stride, g.a + i * g.a_stride, width * sizeof(float));
    });
    g.a = copy;
    g.a_stride = stride;
  }
  const int64_t panels = (g.n + 15) / 16, groups = Parts(panels, kTilePanels);
  const int64_t wanted = 4 * context.threads();
  // B is packed anew by every task, so a task takes all the rows; but where k outlasts a block and there are many rows
  // (the gradient of a large weight), only as many that C stays in the second-level cache and is read and written once.
  int64_t row_parts = g.a_transposed ? Parts(g.m, kBlockRows) : 1;
  const int64_t panel_parts = std::max(Parts(groups, kGroupsAtOnce), std::min(groups, Parts(wanted, row_parts)));
  row_parts = std::max(row_parts, std::min(Parts(wanted, panel_parts), Parts(g.m, 4 * kTileRows)));
  const int64_t floats = g.b_layout == BLayout::kPanels ? 0 : Parts(panels, panel_parts) * 16 * std::min(g.k, kBlockK);
  ParallelFor(context, row_parts * panel_parts, 1, [&](int64_t task, int64_t, int worker) {
    auto* scratch = reinterpret_cast<float*>(context.Scratch(worker, floats * 4).data());
    const int64_t r = task / panel_parts, q = task % panel_parts;
    Multiply(g, PartBegin(g.m, row_parts, r), PartBegin(g.m, row_parts, r + 1), PartBegin(panels, panel_parts, q),
             PartBegin(panels, panel_parts, q + 1), scratch);
  });
}

}  // namespace kinetok::KINETOK_TARGET
