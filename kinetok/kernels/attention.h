// Scaled dot-product attention over paged keys and values (Vaswani et al. 2017; grouped-query: Ainslie et al. 2023).
#pragma once

#include <cstdint>

#include "kinetok/kernels/context.h"
#include "kinetok/kernels/elementwise.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// The number of positions in a page, which is also the block of keys that attention walks at a time.
inline constexpr int64_t kKeyBlock = 64;

// One page holds kKeyBlock positions of one sequence in one layer:
//   for each KV head:  K [head_dim][kKeyBlock] (transposed: a lane owns a key), then V [kKeyBlock][head_dim].
// Pages start zeroed, or hold finite numbers.
constexpr int64_t KvPageFloats(int64_t kv_heads, int64_t head_dim) {
  return kv_heads * 2 * head_dim * kKeyBlock;
}

// The pages of the sequences in a batch, for one layer: position p of sequence s is in pages[s][p / kKeyBlock].
struct KvPages {
  Span<float* const* const> pages;  // [sequences][blocks]
  int64_t kv_heads = 0, head_dim = 0;
};

// One row of a ragged batch: which sequence (an index into KvPages.pages), its position, and the positions that it
// sees: first <= key <= last (causal: 0..position; banded: position-w+1..position; full: 0..length-1).
struct AttentionRow {
  int32_t sequence = 0, position = 0, first = 0, last = 0;
};

// Writes every row's k and v (after RoPE) into its page.    k, v [rows, kv_heads * head_dim]
void WriteKv(Context& context, Span<const AttentionRow> rows, Rows<const float> k, Rows<const float> v,
             const KvPages& kv);

struct AttentionOptions {
  int64_t heads = 0;    // query heads, a multiple of kv_heads; query head h reads KV head h / (heads / kv_heads)
  float scale = 1;      // of the scores, usually 1 / sqrt(head_dim)
  DropoutSite dropout;  // of the probabilities; p = 0 outside training. Not applied to the normaliser.
  Span<const uint64_t> dropout_keys;  // [rows], when dropout.p > 0
};

// Dropout's random numbers for (head, key) are those of column head * kDropoutKeys + key of a row, 32 bits of it: with
// dropout, a row may see the first kDropoutKeys positions only, and there may be kDropoutHeads heads (both checked).
inline constexpr int64_t kDropoutKeys = int64_t{1} << 20, kDropoutHeads = 4096;

// y[i] = softmax(scale * q[i] K^T) V for every row and head, over the row's visible keys.    q, y [rows, heads *
// head_dim]
//   log_sum [rows, heads]: log of the normaliser, max included; kept for the backward pass; may be empty.
// Order of accumulation, per row and head: key blocks ascending; within a block the scores (one fused multiply-add per
// dimension, ascending), the new maximum, then one fused multiply-add per key, ascending; the running output and sum
// are rescaled once per block. The bits depend on the row's q and its visible keys and values alone.
void Attention(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q,
               const KvPages& kv, Rows<float> y, Rows<float> log_sum);

// The backward pass of Attention and WriteKv together, for a batch that holds whole sequences. The gradients of k and
// v gather over all rows that see them, rows ascending.
//   dy, y, q as in Attention; dq [rows, heads * head_dim], dk, dv [rows, kv_heads * head_dim] are overwritten.
//   The rows of one sequence are consecutive, with ascending positions from 0.
void AttentionBackward(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows,
                       Rows<const float> q, const KvPages& kv, Rows<const float> y, Rows<const float> log_sum,
                       Rows<const float> dy, Rows<float> dq, Rows<float> dk, Rows<float> dv);

}  // namespace kinetok
