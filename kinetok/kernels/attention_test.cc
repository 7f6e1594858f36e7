#include "kinetok/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "kinetok/kernels/reference/attention.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using test::kUnit;
using test::SameBits;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

enum class Mask { kCausal, kFull, kBanded };

struct Shape {
  std::vector<int> lengths;
  int64_t heads = 1, kv_heads = 1, head_dim = 16;
  Mask mask = Mask::kCausal;
  float dropout = 0;
};

// Pages of NaN, so that whatever reads a slot that nobody has written shows.
class Cache {
 public:
  Cache(const Shape& shape, const std::vector<int>& lengths) {
    for (const int length : lengths) {
      std::vector<float*>& table = tables_.emplace_back();
      for (int p = 0; p < length; p += kKeyBlock) {
        memory_.push_back(std::vector<float>(KvPageFloats(shape.kv_heads, shape.head_dim), kNan));
        table.push_back(memory_.back().data());
      }
    }
    for (const std::vector<float*>& table : tables_) pages_.push_back(table.data());
    kv_ = {pages_, shape.kv_heads, shape.head_dim};
  }
  const KvPages& kv() const { return kv_; }

 private:
  std::vector<std::vector<float>> memory_;
  std::vector<std::vector<float*>> tables_;
  std::vector<float* const*> pages_;
  KvPages kv_;
};

std::vector<AttentionRow> RowsOf(const Shape& shape) {
  std::vector<AttentionRow> rows;
  for (int s = 0; s < static_cast<int>(shape.lengths.size()); ++s) {
    for (int i = 0; i < shape.lengths[s]; ++i) {
      AttentionRow row = {s, i, 0, i};
      if (shape.mask == Mask::kFull) row.last = shape.lengths[s] - 1;
      if (shape.mask == Mask::kBanded)
        row.first = std::max(0, i - 20), row.last = std::min(i + 9, shape.lengths[s] - 1);
      rows.push_back(row);
    }
  }
  return rows;
}

// A batch of whole sequences; every number of a row depends on its sequence's `name` and position alone.
struct Batch {
  Shape shape;
  std::vector<AttentionRow> rows;
  std::vector<uint64_t> keys;
  std::vector<float> q, k, v, dy;
  AttentionOptions options;

  explicit Batch(const Shape& s, std::vector<int> names = {}) : shape(s), rows(RowsOf(s)) {
    if (names.empty()) names.resize(s.lengths.size()), std::iota(names.begin(), names.end(), 0);
    for (const AttentionRow& row : rows) {
      const uint64_t id = static_cast<uint64_t>(names[row.sequence]) * 1000 + row.position;
      auto append = [&](std::vector<float>& to, int64_t n, uint64_t what, float scale) {
        const std::vector<float> numbers = test::Numbers(n, id * 4 + what, -scale, scale);
        to.insert(to.end(), numbers.begin(), numbers.end());
      };
      append(q, s.heads * s.head_dim, 0, 3);
      append(k, s.kv_heads * s.head_dim, 1, 2);
      append(v, s.kv_heads * s.head_dim, 2, 1);
      append(dy, s.heads * s.head_dim, 3, 1);
      keys.push_back(id);
    }
    options.heads = s.heads;
    options.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(s.head_dim)));
    options.dropout = {s.dropout, 11, 5, 2};
    if (s.dropout > 0) options.dropout_keys = keys;
  }
  Batch(const Batch&) = delete;  // options refer to keys

  int64_t count() const { return static_cast<int64_t>(rows.size()); }
  int64_t q_width() const { return shape.heads * shape.head_dim; }
  int64_t kv_width() const { return shape.kv_heads * shape.head_dim; }
  template <class T>
  Rows<T> Q(T* x) const {
    return {x, count(), q_width()};
  }
  template <class T>
  Rows<T> Kv(T* x) const {
    return {x, count(), kv_width()};
  }
};

struct Result {
  std::vector<float> y, log_sum, dq, dk, dv;
};

Result Compute(Context& context, const Batch& b, bool backward = true) {
  const Cache cache(b.shape, b.shape.lengths);
  Result r;
  r.y.assign(b.q.size(), kNan);
  r.log_sum.assign(b.rows.size() * b.shape.heads, kNan);
  const Rows<float> log_sum = {r.log_sum.data(), b.count(), b.shape.heads};
  WriteKv(context, b.rows, b.Kv(b.k.data()), b.Kv(b.v.data()), cache.kv());
  Attention(context, b.options, b.rows, b.Q(b.q.data()), cache.kv(), b.Q(r.y.data()), log_sum);
  if (!backward) return r;
  r.dq.assign(b.q.size(), kNan);
  r.dk.assign(b.k.size(), kNan);
  r.dv.assign(b.k.size(), kNan);
  AttentionBackward(context, b.options, b.rows, b.Q(b.q.data()), cache.kv(), b.Q<const float>(r.y.data()), log_sum,
                    b.Q(b.dy.data()), b.Q(r.dq.data()), b.Kv(r.dk.data()), b.Kv(r.dv.data()));
  return r;
}

void ExpectSameBits(const Result& a, const Result& b) {
  EXPECT_TRUE(SameBits(a.y, b.y));
  EXPECT_TRUE(SameBits(a.log_sum, b.log_sum));
  EXPECT_TRUE(SameBits(a.dq, b.dq));
  EXPECT_TRUE(SameBits(a.dk, b.dk));
  EXPECT_TRUE(SameBits(a.dv, b.dv));
}

// The keep factors of a row, as Dropout gives them to ones: head h's keys are its columns from h * 2^20.
std::vector<float> KeepFactors(Context& context, const Batch& b, int64_t row) {
  const int64_t width = ((b.shape.heads - 1) << 20) + 256;
  static std::vector<float> ones, kept;
  ones.assign(width, 1.0f);
  kept.resize(width);
  Dropout(context, b.options.dropout, Span<const uint64_t>(b.keys).subspan(row, 1),
          Rows<const float>(ones.data(), 1, width), Rows<float>(kept.data(), 1, width));
  std::vector<float> out;
  for (int64_t h = 0; h < b.shape.heads; ++h) {
    out.insert(out.end(), kept.begin() + (h << 20), kept.begin() + (h << 20) + 256);
  }
  return out;
}

reference::AttentionProblem Twin(Context& context, const Batch& b) {
  reference::AttentionProblem p;
  p.rows = b.rows;
  p.sequences = static_cast<int64_t>(b.shape.lengths.size());
  p.length = *std::max_element(b.shape.lengths.begin(), b.shape.lengths.end());
  p.heads = b.shape.heads;
  p.kv_heads = b.shape.kv_heads;
  p.head_dim = b.shape.head_dim;
  p.scale = b.options.scale;
  p.q.assign(b.q.begin(), b.q.end());
  p.k.resize(p.sequences * p.length * b.kv_width());
  p.v.resize(p.k.size());
  for (int64_t i = 0; i < b.count(); ++i) {
    const int64_t at = (b.rows[i].sequence * p.length + b.rows[i].position) * b.kv_width();
    std::copy_n(b.k.begin() + i * b.kv_width(), b.kv_width(), p.k.begin() + at);
    std::copy_n(b.v.begin() + i * b.kv_width(), b.kv_width(), p.v.begin() + at);
  }
  if (b.shape.dropout > 0) {
    auto factors = std::make_shared<std::vector<std::vector<float>>>();
    for (int64_t i = 0; i < b.count(); ++i) factors->push_back(KeepFactors(context, b, i));
    p.keep = [factors](int64_t row, int64_t head, int64_t key) { return (*factors)[row][head * 256 + key]; };
  }
  return p;
}

double AbsDot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::abs(a[i] * b[i]);
  return sum;
}
double Dot(const double* a, const double* b, int64_t n) {
  return std::inner_product(a, a + n, b, 0.0);
}

// First-order error bounds. A score's relative-to-one error is e = (D + 2) u scale sum |q k| (Higham 3.1); the argument
// of exp is rounded once and rescaled at most once per block, each block's exponents adding up to the scores' range;
// so an unnormalised probability is off by r = e + u (3 range + 4 blocks + 8) in relative terms, and so is their sum.
// The chain over n keys adds n u, the last division and product a few more.
struct Bounds {
  std::vector<double> y, log_sum, dq, dk, dv;
};
Bounds BoundsOf(const reference::AttentionProblem& p, const reference::AttentionResult& exact,
                const std::vector<double>& dy) {
  const int64_t dim = p.head_dim, pairs = static_cast<int64_t>(p.rows.size()) * p.heads / p.kv_heads;
  Bounds b;
  b.y.assign(p.q.size(), 0);
  b.dq.assign(p.q.size(), 0);
  b.dk.assign(p.k.size(), 0);
  b.dv.assign(p.k.size(), 0);
  for (int64_t i = 0; i < static_cast<int64_t>(p.rows.size()); ++i) {
    const int64_t first = p.rows[i].first, n = p.rows[i].last + 1 - first;
    const double blocks = static_cast<double>(n) / kKeyBlock + 2;
    for (int64_t h = 0; h < p.heads; ++h) {
      const int64_t qi = p.QIndex(i, h);
      const std::vector<double> probability = reference::Probabilities(p, i, h);
      const double log_sum = exact.log_sum[i * p.heads + h];
      double error = 0, range = 0, largest = 0;
      for (int64_t j = 0; j < n; ++j) {
        error = std::max(error, (dim + 2) * kUnit * p.scale * AbsDot(&p.q[qi], &p.k[p.KvIndex(i, h, first + j)], dim));
        range = std::max(range, -std::log(probability[j]));
        largest = std::max(largest, std::abs(std::log(probability[j]) + log_sum));
      }
      const double relative = error + kUnit * (3 * range + 4 * blocks + 8);
      b.log_sum.push_back(relative + kUnit * (16 + 2 * std::abs(log_sum) + largest + std::log(n)));
      std::vector<double> y_error(dim);
      for (int64_t j = 0; j < n; ++j) {
        const double kept = probability[j] * (p.keep ? p.keep(i, h, first + j) : 1);
        for (int64_t d = 0; d < dim; ++d) {
          y_error[d] +=
              (2 * relative + (n + 2 * blocks + 16) * kUnit) * kept * std::abs(p.v[p.KvIndex(i, h, first + j) + d]);
        }
      }
      std::copy(y_error.begin(), y_error.end(), b.y.begin() + qi);
      if (dy.empty()) continue;
      // dS = scale p (keep dP - dot): the errors of its three factors, and a rounding of each operation.
      const double again = error + b.log_sum.back() + kUnit * (range + 4);
      const double dot = Dot(&dy[qi], &exact.y[qi], dim);
      const double dot_error =
          AbsDot(&dy[qi], y_error.data(), dim) + (dim / 16.0 + 7) * kUnit * AbsDot(&dy[qi], &exact.y[qi], dim);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t kv = p.KvIndex(i, h, first + j);
        const double keep = p.keep ? p.keep(i, h, first + j) : 1, dp = keep * Dot(&dy[qi], &p.v[kv], dim);
        const double dp_error = (dim + 2) * kUnit * keep * AbsDot(&dy[qi], &p.v[kv], dim);
        const double ds = p.scale * probability[j] * std::abs(dp - dot);
        const double ds_error = p.scale * probability[j] * (dp_error + dot_error) + (again + 4 * kUnit) * ds;
        for (int64_t d = 0; d < dim; ++d) {
          b.dq[qi + d] += (ds_error + (n + 1) * kUnit * ds) * std::abs(p.k[kv + d]);
          b.dk[kv + d] += (ds_error + (pairs + 1) * kUnit * ds) * std::abs(p.q[qi + d]);
          b.dv[kv + d] += (again + (pairs + 3) * kUnit) * keep * probability[j] * std::abs(dy[qi + d]);
        }
      }
    }
  }
  return b;
}

// A gradient of keys, row by row.
std::vector<double> ByRow(const Batch& b, const reference::AttentionProblem& p, const std::vector<double>& x) {
  std::vector<double> out;
  for (const AttentionRow& row : b.rows) {
    const auto at = x.begin() + (row.sequence * p.length + row.position) * b.kv_width();
    out.insert(out.end(), at, at + b.kv_width());
  }
  return out;
}

void ExpectWithin(const std::vector<float>& actual, const std::vector<double>& exact,
                  const std::vector<double>& bound) {
  ASSERT_EQ(actual.size(), exact.size());
  ASSERT_EQ(actual.size(), bound.size());
  double worst = 0;  // of the bound
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - exact[i]);
    ASSERT_LE(error, 1.01 * bound[i] + 1e-40) << "at " << i << ": " << actual[i] << ", expected " << exact[i];
    worst = std::max(worst, error / (bound[i] + 1e-40));
  }
  EXPECT_GT(worst, 1e-4) << "the bound is too loose to mean anything";
}

class AttentionShapesTest : public testing::TestWithParam<Shape> {};

TEST_P(AttentionShapesTest, StaysWithinItsRoundingBoundForwardAndBackward) {
  Context context(2, BestIsa());
  const Batch b(GetParam());
  const Result r = Compute(context, b);
  const reference::AttentionProblem p = Twin(context, b);
  const std::vector<double> dy(b.dy.begin(), b.dy.end());
  const reference::AttentionResult exact = reference::Attention(p);
  const reference::AttentionGradients gradients = reference::AttentionBackward(p, dy);
  const Bounds bounds = BoundsOf(p, exact, dy);
  ExpectWithin(r.y, exact.y, bounds.y);
  ExpectWithin(r.log_sum, exact.log_sum, bounds.log_sum);
  ExpectWithin(r.dq, gradients.dq, bounds.dq);
  ExpectWithin(r.dk, ByRow(b, p, gradients.dk), ByRow(b, p, bounds.dk));
  ExpectWithin(r.dv, ByRow(b, p, gradients.dv), ByRow(b, p, bounds.dv));
}

TEST_P(AttentionShapesTest, EveryInstructionSetAndNumberOfThreadsGivesTheSameBits) {
  const Batch b(GetParam());
  Context plain(1, Isa::kPortable);
  const Result expected = Compute(plain, b);
  for (const Isa isa : SupportedIsas()) {
    SCOPED_TRACE(IsaName(isa));
    Context context(isa == Isa::kPortable ? 2 : 1, isa);
    ExpectSameBits(Compute(context, b), expected);
  }
  for (const int threads : {2, 3, 4}) {
    SCOPED_TRACE(threads);
    Context context(threads, BestIsa());
    ExpectSameBits(Compute(context, b), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionShapesTest,
                         testing::Values(Shape{{1, 63, 64, 65}, 2, 2, 16}, Shape{{130, 5}, 4, 1, 20},
                                         Shape{{200}, 2, 1, 64}, Shape{{70, 66}, 2, 2, 8, Mask::kFull},
                                         Shape{{7, 130}, 4, 2, 16, Mask::kBanded}, Shape{{66}, 2, 2, 80},
                                         Shape{{65, 2}, 2, 1, 128}, Shape{{3, 5}, 100, 2, 1, Mask::kFull},
                                         Shape{{70, 12}, 2, 1, 16, Mask::kCausal, 0.25f},
                                         Shape{{33, 40}, 2, 2, 20, Mask::kFull, 0.1f}));

TEST(AttentionTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  Context context(1, BestIsa());
  for (const Shape& shape : {Shape{{5, 3}, 4, 2, 3}, Shape{{6}, 2, 1, 4, Mask::kFull, 0.3f}}) {
    const Batch b(shape);
    reference::AttentionProblem p = Twin(context, b);
    const std::vector<double> dy(b.dy.begin(), b.dy.end());
    const reference::AttentionGradients gradients = reference::AttentionBackward(p, dy);
    auto loss = [&] {
      const std::vector<double> y = reference::Attention(p).y;
      return std::inner_product(y.begin(), y.end(), dy.begin(), 0.0);
    };
    // With steps of 1e-5 the truncation is about 1e-10 and the rounding 1e-11.
    auto check = [&](std::vector<double>& x, const std::vector<double>& gradient) {
      for (size_t i = 0; i < x.size(); ++i) {
        const double at = x[i];
        x[i] = at + 1e-5;
        const double above = loss();
        x[i] = at - 1e-5;
        const double below = loss();
        x[i] = at;
        EXPECT_NEAR((above - below) / 2e-5, gradient[i], 2e-9);
      }
    };
    check(p.q, gradients.dq);
    check(p.k, gradients.dk);
    check(p.v, gradients.dv);
  }
}

// Every row computed by itself, the cache growing position by position.
TEST(AttentionTest, TokenByTokenGivesTheBitsOfTheWholePrompt) {
  for (const Isa isa : SupportedIsas()) {
    const Shape shape = {{130, 65, 200}, 4, 2, 20};
    Context context(2, isa);
    const Batch b(shape);
    const Result whole = Compute(context, b, false);
    const Cache cache(shape, shape.lengths);
    std::vector<float> y(b.q_width());
    for (int64_t i = 0; i < b.count(); ++i) {
      const Span<const AttentionRow> row(&b.rows[i], 1);
      WriteKv(context, row, b.Kv(b.k.data()).Slice(i, 1), b.Kv(b.v.data()).Slice(i, 1), cache.kv());
      Attention(context, b.options, row, b.Q(b.q.data()).Slice(i, 1), cache.kv(), {y.data(), 1, b.q_width()}, {});
      ASSERT_EQ(std::memcmp(y.data(), &whole.y[i * b.q_width()], y.size() * sizeof(float)), 0) << "row " << i;
    }
  }
}

TEST(AttentionTest, PiecesOfAPromptThatStartAnywhereGiveTheBitsOfTheWhole) {
  const Shape shape = {{200}, 2, 1, 64};
  Context context(2, BestIsa());
  const Batch b(shape);
  const Result whole = Compute(context, b, false);
  const Cache cache(shape, shape.lengths);
  std::vector<float> y(b.q.size());
  for (int64_t i = 0, n = 1; i < b.count(); i += n, n = 2 * n + 3) {
    n = std::min(n, b.count() - i);
    const Span<const AttentionRow> rows(&b.rows[i], n);
    WriteKv(context, rows, b.Kv(b.k.data()).Slice(i, n), b.Kv(b.v.data()).Slice(i, n), cache.kv());
    Attention(context, b.options, rows, b.Q(b.q.data()).Slice(i, n), cache.kv(), b.Q(y.data()).Slice(i, n), {});
  }
  EXPECT_TRUE(SameBits(y, whole.y));
}

TEST(AttentionTest, ASequenceHasTheSameBitsInEveryBatch) {
  Context context(3, BestIsa());
  for (const float dropout : {0.0f, 0.2f}) {
    const Result alone = Compute(context, Batch({{77}, 4, 2, 16, Mask::kCausal, dropout}, {9}));
    for (const std::vector<int>& before : {std::vector<int>{1}, {64, 65}, {3, 130, 2, 2, 1, 7, 40}}) {
      Shape shape = {before, 4, 2, 16, Mask::kCausal, dropout};
      shape.lengths.push_back(77);
      std::vector<int> names(shape.lengths.size());
      std::iota(names.begin(), names.end(), 20);
      names.back() = 9;
      const Result r = Compute(context, Batch(shape, names));
      auto tail = [](const std::vector<float>& x, size_t n) { return std::vector<float>(x.end() - n, x.end()); };
      ExpectSameBits({tail(r.y, alone.y.size()), tail(r.log_sum, alone.log_sum.size()), tail(r.dq, alone.dq.size()),
                      tail(r.dk, alone.dk.size()), tail(r.dv, alone.dv.size())},
                     alone);
    }
  }
}

// Rows in any order, of several sequences, each with a range of its own, as when drafts are verified.
TEST(AttentionTest, RowsInAnyOrderWithAnyRangeGiveTheBitsOfEachAlone) {
  const Shape shape = {{200, 90}, 2, 1, 24};
  Context context(2, BestIsa());
  const Batch b(shape);
  const Cache cache(shape, shape.lengths);
  WriteKv(context, b.rows, b.Kv(b.k.data()), b.Kv(b.v.data()), cache.kv());
  std::vector<AttentionRow> rows;
  for (int i = 0; i < 120; ++i) {
    const int sequence = i / 7 % 2, length = shape.lengths[sequence], first = i * 37 % length;
    rows.push_back({sequence, first, first, first + i * 53 % (length - first)});
  }
  const int64_t n = static_cast<int64_t>(rows.size());
  std::vector<float> together(n * b.q_width()), alone(together.size());
  const Rows<const float> q(b.q.data(), n, b.q_width());
  Attention(context, b.options, rows, q, cache.kv(), {together.data(), n, b.q_width()}, {});
  for (int64_t i = 0; i < n; ++i) {
    Attention(context, b.options, Span<const AttentionRow>(&rows[i], 1), q.Slice(i, 1), cache.kv(),
              {&alone[i * b.q_width()], 1, b.q_width()}, {});
  }
  EXPECT_TRUE(SameBits(together, alone));
  EXPECT_TRUE(std::all_of(together.begin(), together.end(), [](float x) { return std::isfinite(x); }));
}

TEST(AttentionTest, KeysThatARowDoesNotSeeLeaveItsBitsAloneEvenWhenTheyAreNotFinite) {
  Context context(1, BestIsa());
  const Shape shape = {{130}, 2, 1, 20};
  Batch b(shape);
  const Result clean = Compute(context, b, false);
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    for (int64_t i = 70 * b.kv_width(); i < 71 * b.kv_width(); ++i) b.k[i] = b.v[i] = bad;
    const Result spoiled = Compute(context, b, false);
    const size_t seen = 70 * b.q_width();
    EXPECT_EQ(std::memcmp(clean.y.data(), spoiled.y.data(), seen * sizeof(float)), 0);
    for (size_t i = seen; i < spoiled.y.size(); ++i) ASSERT_FALSE(std::isfinite(spoiled.y[i])) << i;
  }
}

TEST(AttentionTest, ANanInAQueryStaysInItsRowAndHead) {
  Context context(1, BestIsa());
  Batch b({{100}, 2, 2, 16});
  const Result clean = Compute(context, b, false);
  b.q[80 * b.q_width() + 17] = kNan;
  const Result spoiled = Compute(context, b, false);
  for (size_t i = 0; i < clean.y.size(); ++i) {
    if (i / 16 == 80 * 2 + 1) {
      ASSERT_TRUE(std::isnan(spoiled.y[i]));
    } else {
      ASSERT_EQ(clean.y[i], spoiled.y[i]);
    }
  }
}

TEST(AttentionTest, HugeScoresDoNotOverflow) {
  Context context(1, BestIsa());
  Batch b({{70}, 1, 1, 16});
  for (float& x : b.q) x *= 1e4f;
  for (float& x : b.k) x *= 1e4f;
  const Result r = Compute(context, b);
  for (const float x : r.y) ASSERT_LE(std::abs(x), 1.0f);
  for (const std::vector<float>* gradient : {&r.dq, &r.dk, &r.dv}) {
    for (const float x : *gradient) ASSERT_TRUE(std::isfinite(x));
  }
}

// On a busy machine a worker may wake too late for a call, so there are many calls.
TEST(AttentionTest, SeveralWorkersShareTheWorkForwardAndBackward) {
  Context context(2, BestIsa());
  const Batch b({{200, 200}, 4, 2, 64});
  for (int i = 0; i < 5000 && context.pool().WorkersUsed() < 2; ++i) Compute(context, b, false);
  EXPECT_EQ(context.pool().WorkersUsed(), 2);
  Result r = Compute(context, b);
  const Cache cache(b.shape, b.shape.lengths);
  WriteKv(context, b.rows, b.Kv(b.k.data()), b.Kv(b.v.data()), cache.kv());
  context.pool().ResetWorkersUsed();
  for (int i = 0; i < 5000 && context.pool().WorkersUsed() < 2; ++i) {
    AttentionBackward(context, b.options, b.rows, b.Q(b.q.data()), cache.kv(), b.Q<const float>(r.y.data()),
                      {r.log_sum.data(), b.count(), b.shape.heads}, b.Q(b.dy.data()), b.Q(r.dq.data()),
                      b.Kv(r.dk.data()), b.Kv(r.dv.data()));
  }
  EXPECT_EQ(context.pool().WorkersUsed(), 2);
}

// Two heads' random numbers would coincide there.
TEST(AttentionTest, DropoutRefusesKeysAndHeadsWhoseRandomNumbersWouldCollide) {
  Context context(1, BestIsa());
  const auto run = [&](int64_t heads, int32_t last) {
    Batch b({{1}, heads, 1, 1, Mask::kCausal, 0.5f});
    b.rows[0].last = last;
    return Compute(context, b);
  };
  EXPECT_NO_THROW(run(kDropoutHeads, 0));
  EXPECT_THROW(run(kDropoutHeads + 1, 0), std::logic_error);
  EXPECT_THROW(run(1, kDropoutKeys), std::logic_error);
}

TEST(AttentionTest, NoRowsAreNoWork) {
  Context context(2, BestIsa());
  const Batch b({{}, 2, 1, 16});
  EXPECT_TRUE(Compute(context, b).y.empty());
}

}  // namespace
}  // namespace kinetok
