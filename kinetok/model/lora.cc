#include "kinetok/model/lora.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "kinetok/base/error.h"
#include "kinetok/base/random.h"
#include "kinetok/kernels/gemm.h"

namespace kinetok {
namespace {

constexpr std::string_view kWeight = ".weight", kAllLinear = "all-linear";

// Tables of which rows are looked up: no layer multiplies by them.
bool IsTable(const ParameterList& list, int parameter) {
  const auto is_table_of = [parameter](const StackParameters& s) {
    return parameter == s.embedding || parameter == s.position || parameter == s.token_type;
  };
  if (is_table_of(list)) return true;
  return std::any_of(list.towers.begin(), list.towers.end(), is_table_of);
}

bool EndsWithModule(std::string_view name, std::string_view target) {
  if (name == target) return true;
  return name.ends_with(target) && name[name.size() - target.size() - 1] == '.';
}

// Every linear layer of the published layout, in its order; `head`: also the language model's own, when it is untied.
std::vector<LoraModule> LinearModules(const ModelConfig& config, const ParameterList& list, bool head) {
  std::vector<LoraModule> out;
  for (const PublishedTensor& t : PublishedTensors(config, list)) {
    if (!t.name.ends_with(kWeight) || t.shape.size() < 2) continue;
    if (t.parameter >= 0 && (!list.all[t.parameter].is_matrix() || IsTable(list, t.parameter))) continue;
    if (t.parameter >= 0 && t.parameter == list.head && !head) continue;
    LoraModule m;
    m.name = t.name.substr(0, t.name.size() - kWeight.size());
    m.parameter = t.parameter;
    m.first_row = t.first_row;
    m.rows = t.transposed ? t.shape[1] : t.shape[0];
    m.columns = t.transposed ? t.shape[0]
                             : std::accumulate(t.shape.begin() + 1, t.shape.end(), int64_t{1}, std::multiplies<>());
    m.a_shape = t.shape.size() == 4 ? t.shape : std::vector<int64_t>{0, m.columns};
    m.b_shape = t.shape.size() == 4 ? std::vector<int64_t>{m.rows, 0, 1, 1} : std::vector<int64_t>{m.rows, 0};
    out.push_back(std::move(m));
  }
  return out;
}

// The parts of a module in a flat adapter and in flat weights.
struct Parts {
  Rows<const float> a, b;
  Parts(const LoraModule& m, int64_t rank, std::span<const float> adapter)
      : a(adapter.data() + m.a, rank, m.columns), b(adapter.data() + m.b, m.rows, rank) {}
};

}  // namespace

double LoraOptions::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rank_stabilised ? std::sqrt(r) : r);
}

void LoraOptions::Check() const {
  if (rank < 1 || rank > 4096) Fail("lora_rank is {}; it must be 1 to 4096", rank);
  if (!(alpha > 0) || !std::isfinite(alpha)) Fail("lora_alpha is {}; it must be positive", alpha);
  if (targets.empty()) Fail("lora_targets is empty; it must name modules, or be all-linear");
}

LoraList::LoraList(const ModelConfig& config, const ParameterList& list, const LoraOptions& o) : options(o) {
  options.Check();
  const bool all = std::find(o.targets.begin(), o.targets.end(), kAllLinear) != o.targets.end();
  std::vector<bool> used(o.targets.size(), false);
  for (LoraModule& m : LinearModules(config, list, !all || config.model_type == "openvla")) {
    bool wanted = all;
    for (size_t i = 0; i < o.targets.size(); ++i) {
      if (o.targets[i] != kAllLinear && !EndsWithModule(m.name, o.targets[i])) continue;
      wanted = used[i] = true;
    }
    if (!wanted) continue;
    m.a_shape[0] = options.rank;
    m.b_shape[1] = options.rank;
    m.a = elements;
    m.b = m.a + options.rank * m.columns;
    elements = m.b + m.rows * options.rank;
    modules.push_back(std::move(m));
  }
  for (size_t i = 0; i < o.targets.size(); ++i) {
    if (used[i] || o.targets[i] == kAllLinear) continue;
    Fail("lora_targets names \"{}\", which no linear layer of a {} is called", o.targets[i], config.model_type);
  }
}

void InitializeLora(const LoraList& lora, uint64_t seed, std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == lora.elements);
  const double deviation = 1.0 / static_cast<double>(lora.options.rank);
  for (size_t i = 0; i < lora.modules.size(); ++i) {
    const LoraModule& m = lora.modules[i];
    FillNormal(seed, RandomStream::kLora, static_cast<uint32_t>(i), 0, deviation,
               flat.subspan(m.a, lora.options.rank * m.columns));
    std::fill_n(flat.begin() + m.b, m.rows * lora.options.rank, 0.0f);
  }
}

void AddModule(Context& context, const LoraList& lora, const LoraModule& m, std::span<const float> adapter,
               Rows<float> matrix) {
  const int64_t rank = lora.options.rank;
  const Parts parts(m, rank, adapter);
  std::vector<float> scaled(parts.b.data, parts.b.data + m.rows * rank);
  for (float& x : scaled) x *= static_cast<float>(lora.options.scale());
  LinearBackwardInput(context, Rows<const float>(scaled.data(), m.rows, rank), parts.a, true,
                      matrix.Slice(m.first_row, m.rows));
}

void AddLora(Context& context, const LoraList& lora, std::span<const float> adapter, const ParameterList& list,
             std::span<float> weights) {
  for (const LoraModule& m : lora.modules) {
    if (m.parameter < 0) continue;
    const Parameter& p = list.all[m.parameter];
    AddModule(context, lora, m, adapter, Rows<float>(weights.data() + p.offset, p.rows, p.columns));
  }
}

void LoraGradients(Context& context, const LoraList& lora, std::span<const float> adapter, const ParameterList& list,
                   std::span<const float> gradients, std::span<float> out) {
  const auto scale = static_cast<float>(lora.options.scale());
  std::fill(out.begin(), out.end(), 0.0f);
  for (const LoraModule& m : lora.modules) {
    if (m.parameter < 0) continue;
    const Parts parts(m, lora.options.rank, adapter);
    const Rows<const float> dw(gradients.data() + list.all[m.parameter].offset + m.first_row * m.columns, m.rows,
                               m.columns);
    LinearForward(context, dw, parts.a, {}, Rows<float>(out.data() + m.b, m.rows, lora.options.rank));
    LinearBackwardWeight(context, parts.b, dw, Rows<float>(out.data() + m.a, lora.options.rank, m.columns), {});
  }
  for (float& x : out) x *= scale;
}

LowRank PackModule(Context& context, const LoraList& lora, const LoraModule& m, std::span<const float> adapter) {
  const int64_t rank = lora.options.rank;
  const Parts parts(m, rank, adapter);
  std::vector<float> scaled(parts.b.data, parts.b.data + m.rows * rank);
  for (float& x : scaled) x *= static_cast<float>(lora.options.scale());
  LowRank out{m.first_row, PackedMatrix(rank, m.columns, DType::kF32), PackedMatrix(m.rows, rank, DType::kF32)};
  out.a.SetRows(context, 0, {parts.a.data, DType::kF32, rank, m.columns, m.columns, 1});
  out.b.SetRows(context, 0, {scaled.data(), DType::kF32, m.rows, rank, rank, 1});
  return out;
}

void AddLowRank(Context& context, Rows<const float> x, std::span<const LowRank> parts, Rows<float> y) {
  std::vector<float> inner, product;
  for (const LowRank& part : parts) {
    inner.resize(static_cast<size_t>(x.rows * part.a.rows()));
    product.resize(static_cast<size_t>(x.rows * part.b.rows()));
    const Rows<float> h(inner.data(), x.rows, part.a.rows()), d(product.data(), x.rows, part.b.rows());
    MatMul(context, x, part.a, {}, h);
    MatMul(context, h, part.b, {}, d);
    ParallelFor(context, x.rows, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        float* to = y[i] + part.first_row;
        for (int64_t j = 0; j < d.width; ++j) to[j] += d[i][j];
      }
    });
  }
}

}  // namespace kinetok
