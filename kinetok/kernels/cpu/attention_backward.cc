#include "kinetok/base/error.h"
#include "kinetok/kernels/attention.h"
#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET
#include "kinetok/kernels/cpu/attention_tile.h"
#include "kinetok/kernels/cpu/dropout_mask.h"
#include "kinetok/kernels/cpu/simd_math.h"

namespace kinetok::KINETOK_TARGET {
namespace {

struct Gradients {
  Rows<float> dq, dk, dv;
};
struct Forward {
  Rows<const float> q, y, log_sum, dy;
};

// The gradients of one sequence's rows through one KV head. A pair is a row and a query head, row by row; their q, dy
// and dq lie together for the whole walk: key blocks ascending, and for each the tiles of pairs that see it, ascending.
// Within a tile, P is computed again from the scores and log_sum; then, with P' = P after dropout,
//   dV += P'^T dy    dS = scale P (keep dy V^T - dy.y)    dQ += dS K    dK += dS^T q
class SequenceBackward {
 public:
  SequenceBackward(const AttentionOptions& options, Span<const AttentionRow> rows, const Forward& forward,
                   const KvPages& kv, const Gradients& gradients)
      : options_(options),
        rows_(rows),
        forward_(forward),
        kv_(kv),
        gradients_(gradients),
        width_(kv.head_dim),
        padded_(PaddedWidth(kv.head_dim)),
        group_(options.heads / kv.kv_heads),
        dropout_(MakeDropoutMask(options.dropout)) {}

  static int64_t ScratchFloats(int64_t head_dim, int64_t pairs) {
    const int64_t padded = PaddedWidth(head_dim);
    return kKeyBlock * (3 * padded + head_dim) + kTilePairs * 2 * kKeyBlock + pairs * (3 * padded + 1);
  }

  void Run(RowRange sequence, int64_t kv_head, float* scratch) {
    sequence_ = sequence;
    first_head_ = kv_head * group_;
    const int64_t pairs = sequence.count * group_;
    auto take = [&](int64_t floats) {
      float* taken = scratch;
      scratch += floats;
      return taken;
    };
    keys_ = take(kKeyBlock * padded_);
    dk_ = take(kKeyBlock * padded_);
    dv_ = take(kKeyBlock * padded_);
    values_ = take(kKeyBlock * width_);
    p_ = take(kTilePairs * kKeyBlock);
    ds_ = take(kTilePairs * kKeyBlock);
    q_ = take(pairs * padded_);
    dy_ = take(pairs * padded_);
    dq_ = take(pairs * padded_);
    dots_ = take(pairs);

    Gather(pairs);
    for (int64_t block = 0; block * kKeyBlock < sequence.count; ++block) {
      const PageHead page = HeadOfPage(kv_, rows_[sequence.first].sequence, block, kv_head);
      Transpose(page.k, kKeyBlock, width_, kKeyBlock, keys_, padded_);
      Transpose(page.v, width_, kKeyBlock, width_, values_, kKeyBlock);
      std::memset(dk_, 0, static_cast<size_t>(kKeyBlock * padded_) * sizeof(float));
      std::memset(dv_, 0, static_cast<size_t>(kKeyBlock * padded_) * sizeof(float));
      for (int64_t first = 0; first < pairs; first += kTilePairs) {
        const int64_t left = pairs - first;
        if (FindVisible(first, left < kTilePairs ? static_cast<int>(left) : kTilePairs, block))
          TileAndBlock(page.k, block);
      }
      StoreKeyGradients(block, kv_head);
    }
    for (int64_t pair = 0; pair < pairs; ++pair) {
      float* dq = gradients_.dq[RowOf(pair)] + HeadOf(pair) * width_;
      for (int64_t d = 0; d < width_; d += kLanes) StoreN(dq + d, Load(dq_ + pair * padded_ + d), Left(d));
    }
  }

 private:
  int64_t RowOf(int64_t pair) const { return sequence_.first + pair / group_; }
  int64_t HeadOf(int64_t pair) const { return first_head_ + pair % group_; }
  int Left(int64_t d) const { return width_ - d < kLanes ? static_cast<int>(width_ - d) : kLanes; }

  // Brings the pairs' q and dy together, padded with zeros to whole vectors, and clears their dq.
  // dots_[pair] = dy . y: sixteen running sums, then their tree.
  void Gather(int64_t pairs) {
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const int64_t row = RowOf(pair), column = HeadOf(pair) * width_, to = pair * padded_;
      const float *q = forward_.q[row] + column, *y = forward_.y[row] + column, *dy = forward_.dy[row] + column;
      F32x16 sum = Zero();
      for (int64_t d = 0; d < width_; d += kLanes) {
        const F32x16 gradient = LoadN(dy + d, Left(d));
        sum = Fma(gradient, LoadN(y + d, Left(d)), sum);
        Store(q_ + to + d, LoadN(q + d, Left(d)));
        Store(dy_ + to + d, gradient);
        Store(dq_ + to + d, Zero());
      }
      dots_[pair] = ReduceSum(sum);
    }
  }

  // The tile's pairs that see the block, from the first to the last of them; one between that sees nothing has
  // first = kKeyBlock and last = -1.
  bool FindVisible(int64_t first_pair, int count, int64_t block) {
    const int base = static_cast<int>(block * kKeyBlock), end = static_cast<int>(kKeyBlock);
    int seen = 0;  // up to the last pair that sees something
    count_ = 0;
    for (int i = 0; i < count; ++i) {
      const AttentionRow& row = rows_[RowOf(first_pair + i)];
      int first = row.first > base ? row.first - base : 0, last = row.last - base < end ? row.last - base : end - 1;
      const bool sees = first <= last;
      if (!sees && seen == 0) continue;
      if (!sees) first = end, last = -1;
      if (seen == 0) pair_ = first_pair + i;
      first_[count_] = first;
      last_[count_++] = last;
      if (sees) seen = count_;
    }
    count_ = seen;
    return seen > 0;
  }

  void TileAndBlock(const float* k, int64_t block) {
    const float *tile_q = q_ + pair_ * padded_, *tile_dy = dy_ + pair_ * padded_;
    float* tile_dq = dq_ + pair_ * padded_;
    // Scores and dP, for the vectors of keys that the group sees.
    ForGroups(count_, [&]<int R>(std::integral_constant<int, R>, int i) {
      const Keys keys = KeysOfGroup(i, R);
      if (keys.first > keys.last) return;
      const int64_t skip = keys.first / kLanes * kLanes, span = (keys.last / kLanes + 1) * kLanes - skip;
      const float *q[R], *dy[R];
      float *p[R], *ds[R];
      for (int r = 0; r < R; ++r) {
        q[r] = tile_q + (i + r) * padded_;
        dy[r] = tile_dy + (i + r) * padded_;
        p[r] = p_ + (i + r) * kKeyBlock + skip;
        ds[r] = ds_ + (i + r) * kKeyBlock + skip;
      }
      Multiply<R>(q, 1, k + skip, kKeyBlock, width_, p, span, false);
      Multiply<R>(dy, 1, values_ + skip, kKeyBlock, width_, ds, span, false);
    });
    for (int a = 0; a < count_; ++a) Probabilities(a, block);
    // dQ: rows are pairs, keys ascending.
    ForGroups(count_, [&]<int R>(std::integral_constant<int, R>, int i) {
      const Keys keys = KeysOfGroup(i, R);
      if (keys.first > keys.last) return;
      const float* ds[R];
      float* dq[R];
      for (int r = 0; r < R; ++r) {
        ds[r] = ds_ + (i + r) * kKeyBlock + keys.first;
        dq[r] = tile_dq + (i + r) * padded_;
      }
      Multiply<R>(ds, 1, keys_ + keys.first * padded_, padded_, keys.last + 1 - keys.first, dq, padded_, true);
    });
    // dV and dK: rows are keys, pairs ascending.
    ForGroups(static_cast<int>(kKeyBlock), [&]<int R>(std::integral_constant<int, R>, int j) {
      int first = 0, last = count_ - 1;
      auto sees = [&](int a) { return first_[a] < j + R && last_[a] >= j; };
      while (first <= last && !sees(first)) ++first;
      while (first <= last && !sees(last)) --last;
      if (first > last) return;
      const float *p[R], *ds[R];
      float *dv[R], *dk[R];
      for (int r = 0; r < R; ++r) {
        p[r] = p_ + first * kKeyBlock + j + r;
        ds[r] = ds_ + first * kKeyBlock + j + r;
        dv[r] = dv_ + (j + r) * padded_;
        dk[r] = dk_ + (j + r) * padded_;
      }
      Multiply<R>(p, kKeyBlock, tile_dy + first * padded_, padded_, last + 1 - first, dv, padded_, true);
      Multiply<R>(ds, kKeyBlock, tile_q + first * padded_, padded_, last + 1 - first, dk, padded_, true);
    });
  }

  struct Keys {
    int first, last;
  };
  // The keys that some pair of a group sees.
  Keys KeysOfGroup(int i, int count) const {
    Keys keys = {first_[i], last_[i]};
    for (int r = 1; r < count; ++r) {
      if (first_[i + r] < keys.first) keys.first = first_[i + r];
      if (last_[i + r] > keys.last) keys.last = last_[i + r];
    }
    return keys;
  }

  // p_ and ds_ hold the plain scores and dy V^T of a pair; makes them P' and dS, zero where the pair sees nothing.
  void Probabilities(int a, int64_t block) {
    const int64_t row = RowOf(pair_ + a), head = HeadOf(pair_ + a);
    const F32x16 scale = Set(options_.scale), log_sum = Set(forward_.log_sum[row][head]), dot = Set(dots_[pair_ + a]);
    const bool drops = options_.dropout.p > 0;
    DropoutRow dropout_row = {};
    if (drops) dropout_row = MakeDropoutRow(dropout_, options_.dropout_keys[row]);
    for (int v = 0; v < static_cast<int>(kKeyBlock) / kLanes; ++v) {
      float *p_at = p_ + a * kKeyBlock + v * kLanes, *ds_at = ds_ + a * kKeyBlock + v * kLanes;
      if ((v + 1) * kLanes <= first_[a] || v * kLanes > last_[a]) {
        Store(p_at, Zero());
        Store(ds_at, Zero());
        continue;
      }
      const F32x16 p = Exp(Sub(Mul(scale, Load(p_at)), log_sum));
      F32x16 kept = p, dp = Load(ds_at);
      if (drops) {
        const F32x16 keep = DropoutScale(dropout_, dropout_row, DropoutColumn(head, block * kKeyBlock + v * kLanes));
        kept = Mul(kept, keep);
        dp = Mul(dp, keep);
      }
      const F32x16 ds = Mul(scale, Mul(p, Sub(dp, dot)));
      Store(p_at, KeepVisible(kept, v, first_[a], last_[a], Zero()));
      Store(ds_at, KeepVisible(ds, v, first_[a], last_[a], Zero()));
    }
  }

  void StoreKeyGradients(int64_t block, int64_t kv_head) {
    const int64_t first = block * kKeyBlock, column = kv_head * width_;
    for (int64_t j = 0; j < kKeyBlock && first + j < sequence_.count; ++j) {
      const int64_t row = sequence_.first + first + j;
      for (int64_t d = 0; d < width_; d += kLanes) {
        StoreN(gradients_.dk[row] + column + d, Load(dk_ + j * padded_ + d), Left(d));
        StoreN(gradients_.dv[row] + column + d, Load(dv_ + j * padded_ + d), Left(d));
      }
    }
  }

  const AttentionOptions& options_;
  Span<const AttentionRow> rows_;
  const Forward& forward_;
  const KvPages& kv_;
  const Gradients& gradients_;
  int64_t width_, padded_, group_;
  DropoutMask dropout_;
  RowRange sequence_ = {};
  int64_t first_head_ = 0;
  float *keys_, *values_;  // K [kKeyBlock][padded], V transposed [head_dim][kKeyBlock]
  float *dk_, *dv_;        // [kKeyBlock][padded]
  float *p_, *ds_;         // [kTilePairs][kKeyBlock]
  float *q_, *dy_, *dq_;   // [pairs][padded]
  float* dots_;            // [pairs]
  // The tile at hand: count_ pairs from pair_, and which keys of the block each sees.
  int64_t pair_ = 0;
  int count_ = 0;
  int first_[kTilePairs], last_[kTilePairs];
};

}  // namespace

void AttentionBackward(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows,
                       Rows<const float> q, const KvPages& kv, Rows<const float> y, Rows<const float> log_sum,
                       Rows<const float> dy, Rows<float> dq, Rows<float> dk, Rows<float> dv) {
  const Forward forward = {q, y, log_sum, dy};
  const Gradients gradients = {dq, dk, dv};
  const int64_t n = static_cast<int64_t>(rows.size());
  const auto shared = context.SharedScratch(n * static_cast<int64_t>(sizeof(RowRange)));
  RowRange* sequences = reinterpret_cast<RowRange*>(shared.data());
  const int64_t count = SplitRows(rows, n, sequences);
  int64_t longest = 0;
  for (int64_t s = 0; s < count; ++s) longest = sequences[s].count > longest ? sequences[s].count : longest;
  const int64_t scratch_bytes = SequenceBackward::ScratchFloats(kv.head_dim, longest * (options.heads / kv.kv_heads)) *
                                static_cast<int64_t>(sizeof(float));
  ParallelFor(context, count * kv.kv_heads, 1, [&](int64_t task, int64_t, int worker) {
    float* scratch = reinterpret_cast<float*>(context.Scratch(worker, scratch_bytes).data());
    SequenceBackward(options, rows, forward, kv, gradients)
        .Run(sequences[task / kv.kv_heads], task % kv.kv_heads, scratch);
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, AttentionBackward,
                (Context & context, const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q,
                 const KvPages& kv, Rows<const float> y, Rows<const float> log_sum, Rows<const float> dy,
                 Rows<float> dq, Rows<float> dk, Rows<float> dv))

void AttentionBackward(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows,
                       Rows<const float> q, const KvPages& kv, Rows<const float> y, Rows<const float> log_sum,
                       Rows<const float> dy, Rows<float> dq, Rows<float> dk, Rows<float> dv) {
  KINETOK_CHECK(kv.kv_heads > 0 && options.heads > 0 && options.heads % kv.kv_heads == 0);
  KINETOK_CHECK(options.dropout.p == 0 || options.dropout_keys.size() == rows.size());
  const bool dropout = options.dropout.p > 0;
  KINETOK_CHECK(!dropout || options.heads <= kDropoutHeads);
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool follows = i > 0 && rows[i].sequence == rows[i - 1].sequence;
    KINETOK_CHECK(rows[i].position == (follows ? rows[i - 1].position + 1 : 0));
    KINETOK_CHECK(rows[i].first >= 0 && rows[i].first <= rows[i].last);
    KINETOK_CHECK(!dropout || rows[i].last < kDropoutKeys);
  }
  KINETOK_CALL(AttentionBackward, context, options, rows, q, kv, y, log_sum, dy, dq, dk, dv);
}

}  // namespace kinetok
#endif
