#include "kinetok/kernels/attention.h"

#include "kinetok/base/error.h"
#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET
#include "kinetok/kernels/cpu/attention_tile.h"
#include "kinetok/kernels/cpu/dropout_mask.h"
#include "kinetok/kernels/cpu/simd_math.h"

namespace kinetok::KINETOK_TARGET {
namespace {

constexpr int kBlockVectors = static_cast<int>(kKeyBlock) / kLanes;

// The running softmax of a tile: per pair the maximum m, the normaliser l, and the output before division.
struct Running {
  alignas(64) float m[kTilePairs], l[kTilePairs];
  float* acc[kTilePairs];
};

// One tile of pairs against all its keys.
class TileForward {
 public:
  TileForward(const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q, const KvPages& kv,
              Rows<float> y, Rows<float> log_sum)
      : options_(options),
        rows_(rows),
        q_(q),
        kv_(kv),
        y_(y),
        log_sum_(log_sum),
        dropout_(MakeDropoutMask(options.dropout)) {}

  static int64_t ScratchFloats(int64_t head_dim) { return kTilePairs * (kKeyBlock + PaddedWidth(head_dim)); }

  void Run(RowRange range, int64_t first_head, int64_t last_head, float* scratch) {
    FillTile(rows_, range, first_head, last_head, tile_);
    const int64_t width = PaddedWidth(kv_.head_dim);
    for (int a = 0; a < kTilePairs; ++a) scores_[a] = scratch + a * kKeyBlock;
    float* acc = scratch + kTilePairs * kKeyBlock;
    std::memset(acc, 0, static_cast<size_t>(tile_.count * width) * sizeof(float));
    int first = tile_.first[0], last = tile_.last[0];
    std::memset(run_.l, 0, sizeof run_.l);
    for (int t = 0; t < tile_.count; ++t) {
      run_.m[t] = -__builtin_inff();
      if (options_.dropout.p > 0) dropout_rows_[t] = MakeDropoutRow(dropout_, options_.dropout_keys[tile_.row[t]]);
      run_.acc[t] = acc + t * width;
      if (tile_.first[t] < first) first = tile_.first[t];
      if (tile_.last[t] > last) last = tile_.last[t];
    }
    const int64_t kv_head = first_head / (options_.heads / kv_.kv_heads);
    for (int64_t block = first / kKeyBlock; block <= last / kKeyBlock; ++block) {
      FindVisible(tile_, block, visible_);
      if (visible_.count == 0) continue;
      const PageHead page = HeadOfPage(kv_, rows_[range.first].sequence, block, kv_head);
      Scores(page.k);
      Softmax(block);
      Accumulate(page.v);
    }
    Finish();
  }

 private:
  // scores[a] = q K^T before scaling, for the vectors of keys that the group sees.
  void Scores(const float* k) {
    const float* q[kTilePairs];
    for (int a = 0; a < visible_.count; ++a) {
      const int t = visible_.pair[a];
      q[a] = q_[tile_.row[t]] + tile_.head[t] * kv_.head_dim;
    }
    ForGroups(visible_.count, [&]<int R>(std::integral_constant<int, R>, int i) {
      int first = visible_.first[i], last = visible_.last[i];
      for (int r = 1; r < R; ++r) {
        if (visible_.first[i + r] < first) first = visible_.first[i + r];
        if (visible_.last[i + r] > last) last = visible_.last[i + r];
      }
      const int skip = first / kLanes * kLanes;
      float* c[R];
      for (int r = 0; r < R; ++r) c[r] = scores_[i + r] + skip;
      Multiply<R>(q + i, 1, k + skip, kKeyBlock, kv_.head_dim, c, (last / kLanes + 1) * kLanes - skip, false);
    });
  }

  // Turns the scores into probabilities relative to the new maximum, and rescales what has been summed so far.
  void Softmax(int64_t block) {
    alignas(64) float m[kTilePairs] = {}, alpha[kTilePairs] = {}, sums[kTilePairs];
    F32x16 part[kTilePairs / kLanes][kLanes];
    for (int a = 0; a < visible_.count; ++a) part[a / kLanes][a % kLanes] = ScaledMaximum(a);
    for (int a = 0; a < visible_.count; ++a) m[a] = run_.m[visible_.pair[a]];
    Reduce(
        part, [](F32x16 x) { return ReduceMax(x); }, [](F32x16 x, F32x16 y) { return Max(x, y); }, alpha);
    for (int a = 0; a < visible_.count; a += kLanes) {
      const F32x16 old_m = Load(m + a), new_m = Max(Load(alpha + a), old_m);
      Store(m + a, new_m);
      Store(alpha + a, Exp(Sub(old_m, new_m)));
    }
    for (int a = 0; a < visible_.count; ++a) part[a / kLanes][a % kLanes] = Probabilities(a, m[a], block);
    Reduce(
        part, [](F32x16 x) { return ReduceSum(x); }, [](F32x16 x, F32x16 y) { return Add(x, y); }, sums);
    const int64_t width = PaddedWidth(kv_.head_dim);
    for (int a = 0; a < visible_.count; ++a) {
      const int t = visible_.pair[a];
      run_.m[t] = m[a];
      run_.l[t] = FmaScalar(run_.l[t], alpha[a], sums[a]);
      if (alpha[a] == 1.0f) continue;
      const F32x16 factor = Set(alpha[a]);
      for (int64_t d = 0; d < width; d += kLanes) Store(run_.acc[t] + d, Mul(Load(run_.acc[t] + d), factor));
    }
  }

  // out[a] = the reduction of the lanes of pair a: `one` for a single pair, as in decoding, else sixteen at a time.
  template <class One, class Op>
  KINETOK_INLINE void Reduce(F32x16 (&part)[kTilePairs / kLanes][kLanes], One one, Op op, float* out) const {
    if (visible_.count == 1) {
      out[0] = one(part[0][0]);
      return;
    }
    for (int a = 0; a < visible_.count; a += kLanes) {
      for (int r = visible_.count - a; r < kLanes; ++r) part[a / kLanes][r] = Zero();
      Store(out + a, ReduceEach(part[a / kLanes], op));
    }
  }

  // scores[a] *= scale, -infinity where invisible; returns the maxima of the lanes.
  KINETOK_INLINE F32x16 ScaledMaximum(int a) {
    const int first = visible_.first[a], last = visible_.last[a];
    const F32x16 scale = Set(options_.scale), none = Set(-__builtin_inff());
    F32x16 largest = none;
    for (int v = first / kLanes; v <= last / kLanes; ++v) {
      float* at = scores_[a] + v * kLanes;
      const F32x16 s = KeepVisible(Mul(scale, Load(at)), v, first, last, none);
      Store(at, s);
      largest = Max(largest, s);
    }
    return largest;
  }

  // scores[a] = exp(scores[a] - m), dropped out; returns the sums before dropout, one of four keys a lane.
  KINETOK_INLINE F32x16 Probabilities(int a, float m, int64_t block) {
    const int first = visible_.first[a] / kLanes, last = visible_.last[a] / kLanes, t = visible_.pair[a];
    float* scores = scores_[a];
    auto relative = [&](int v) { return Exp(Sub(Load(scores + v * kLanes), Set(m))); };
    F32x16 p[kBlockVectors];
    if (first == 0 && last == kBlockVectors - 1) {  // without a branch, the four overlap
#pragma GCC unroll 4
      for (int v = 0; v < kBlockVectors; ++v) p[v] = relative(v);
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kBlockVectors; ++v) p[v] = v < first || v > last ? Zero() : relative(v);
    }
    if (options_.dropout.p > 0) {
      for (int v = first; v <= last; ++v) {
        const int64_t column = DropoutColumn(tile_.head[t], block * kKeyBlock + v * kLanes);
        Store(scores + v * kLanes, Mul(p[v], DropoutScale(dropout_, dropout_rows_[t], column)));
      }
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kBlockVectors; ++v) Store(scores + v * kLanes, p[v]);
    }
    return Add(Add(p[0], p[1]), Add(p[2], p[3]));
  }

  // acc += p V: the keys that the whole group sees together, those before and after them row by row.
  void Accumulate(const float* v) {
    const int64_t width = kv_.head_dim;
    ForGroups(visible_.count, [&]<int R>(std::integral_constant<int, R>, int i) {
      int first = visible_.first[i], last = visible_.last[i];
      for (int r = 1; r < R; ++r) {
        if (visible_.first[i + r] > first) first = visible_.first[i + r];
        if (visible_.last[i + r] < last) last = visible_.last[i + r];
      }
      const float* p[R];
      float* acc[R];
      for (int r = 0; r < R; ++r) {
        p[r] = scores_[i + r];
        acc[r] = run_.acc[visible_.pair[i + r]];
      }
      auto alone = [&](int r, int from, int to) {
        if (from > to) return;
        const float* row = p[r] + from;
        Multiply<1>(&row, 1, v + from * width, width, to + 1 - from, acc + r, width, true);
      };
      if (first > last) {
        for (int r = 0; r < R; ++r) alone(r, visible_.first[i + r], visible_.last[i + r]);
        return;
      }
      for (int r = 0; r < R; ++r) {
        alone(r, visible_.first[i + r], first - 1);
        p[r] += first;
      }
      Multiply<R>(p, 1, v + first * width, width, last + 1 - first, acc, width, true);
      for (int r = 0; r < R; ++r) {
        p[r] -= first;
        alone(r, last + 1, visible_.last[i + r]);
      }
    });
  }

  void Finish() {
    const int64_t width = kv_.head_dim;
    alignas(64) float log_l[kTilePairs];
    for (int t = 0; t < tile_.count; t += kLanes) Store(log_l + t, Log(Load(run_.l + t)));
    for (int t = 0; t < tile_.count; ++t) {
      const F32x16 inverse = Set(1.0f / run_.l[t]);
      float* y = y_[tile_.row[t]] + tile_.head[t] * width;
      for (int64_t d = 0; d < width; d += kLanes) {
        const int left = width - d < kLanes ? static_cast<int>(width - d) : kLanes;
        StoreN(y + d, Fma(Load(run_.acc[t] + d), inverse, Zero()), left);
      }
      if (!log_sum_.empty()) log_sum_[tile_.row[t]][tile_.head[t]] = run_.m[t] + log_l[t];
    }
  }

  const AttentionOptions& options_;
  Span<const AttentionRow> rows_;
  Rows<const float> q_;
  const KvPages& kv_;
  Rows<float> y_, log_sum_;
  DropoutMask dropout_;
  DropoutRow dropout_rows_[kTilePairs];
  Tile tile_;
  VisiblePairs visible_;
  Running run_;
  float* scores_[kTilePairs];
};

}  // namespace

void WriteKv(Context& context, Span<const AttentionRow> rows, Rows<const float> k, Rows<const float> v,
             const KvPages& kv) {
  const int64_t n = static_cast<int64_t>(rows.size()), width = kv.head_dim;
  const int64_t chunks = (n + kKeyBlock - 1) / kKeyBlock;
  // A worker takes the rows of a chunk for some heads: at least 16384 numbers, or what there is.
  const int64_t rows_in_chunk = n < kKeyBlock ? n : kKeyBlock;
  const int64_t grain = n == 0 ? 1 : 1 + 16384 / (rows_in_chunk * 2 * width);
  ParallelFor(context, chunks * kv.kv_heads, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t chunk = task / kv.kv_heads, head = task % kv.kv_heads;
      const int64_t stop = (chunk + 1) * kKeyBlock < n ? (chunk + 1) * kKeyBlock : n;
      for (int64_t i = chunk * kKeyBlock; i < stop;) {
        const AttentionRow& row = rows[i];
        const int64_t slot = row.position % kKeyBlock;
        int64_t count = 1;  // rows that follow each other in the page
        while (i + count < stop && slot + count < kKeyBlock && rows[i + count].sequence == row.sequence &&
               rows[i + count].position == row.position + count) {
          ++count;
        }
        float* page_k = kv.pages[row.sequence][row.position / kKeyBlock] + head * 2 * width * kKeyBlock;
        float* page_v = page_k + width * kKeyBlock + slot * width;
        for (int64_t d = 0; d < width; ++d) {
          const float* from = k[i] + head * width + d;
          float* to = page_k + d * kKeyBlock + slot;
          for (int64_t r = 0; r < count; ++r) to[r] = from[r * k.stride];
        }
        for (int64_t r = 0; r < count; ++r) {
          std::memcpy(page_v + r * width, v[i + r] + head * width, static_cast<size_t>(width) * sizeof(float));
        }
        i += count;
      }
    }
  });
}

void Attention(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q,
               const KvPages& kv, Rows<float> y, Rows<float> log_sum) {
  const int64_t group = options.heads / kv.kv_heads;
  const TileShape shape = ShapeOfTile(group);
  const auto shared = context.SharedScratch(static_cast<int64_t>(rows.size() * sizeof(RowRange)));
  RowRange* ranges = reinterpret_cast<RowRange*>(shared.data());
  const int64_t range_count = SplitRows(rows, shape.rows, ranges);
  const int64_t scratch_bytes = TileForward::ScratchFloats(kv.head_dim) * static_cast<int64_t>(sizeof(float));
  // The tiles of a KV head follow each other, the last rows first: under a causal mask they take longest.
  const int64_t tiles = range_count * shape.head_tiles * kv.kv_heads;
  ParallelFor(context, tiles, 1, [&](int64_t task, int64_t, int worker) {
    float* scratch = reinterpret_cast<float*>(context.Scratch(worker, scratch_bytes).data());
    const int64_t range = range_count - 1 - task % range_count;
    const int64_t head_tile = task / range_count % shape.head_tiles, kv_head = task / range_count / shape.head_tiles;
    const int64_t first_head = kv_head * group + head_tile * shape.heads;
    const int64_t last_head =
        first_head + shape.heads < (kv_head + 1) * group ? first_head + shape.heads : (kv_head + 1) * group;
    TileForward(options, rows, q, kv, y, log_sum).Run(ranges[range], first_head, last_head, scratch);
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, WriteKv,
                (Context & context, Span<const AttentionRow> rows, Rows<const float> k, Rows<const float> v,
                 const KvPages& kv))
KINETOK_DECLARE(void, Attention,
                (Context & context, const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q,
                 const KvPages& kv, Rows<float> y, Rows<float> log_sum))

void WriteKv(Context& context, Span<const AttentionRow> rows, Rows<const float> k, Rows<const float> v,
             const KvPages& kv) {
  KINETOK_CALL(WriteKv, context, rows, k, v, kv);
}

void Attention(Context& context, const AttentionOptions& options, Span<const AttentionRow> rows, Rows<const float> q,
               const KvPages& kv, Rows<float> y, Rows<float> log_sum) {
  KINETOK_CHECK(kv.kv_heads > 0 && options.heads > 0 && options.heads % kv.kv_heads == 0);
  KINETOK_CHECK(options.dropout.p == 0 || options.dropout_keys.size() == rows.size());
  const bool dropout = options.dropout.p > 0;
  KINETOK_CHECK(!dropout || options.heads <= kDropoutHeads);
  for (const AttentionRow& row : rows) {
    KINETOK_CHECK(row.first >= 0 && row.first <= row.last);
    KINETOK_CHECK(!dropout || row.last < kDropoutKeys);
  }
  KINETOK_CALL(Attention, context, options, rows, q, kv, y, log_sum);
}

}  // namespace kinetok
#endif
