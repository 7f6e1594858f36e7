// Where the tensors of published checkpoints go; their names are in architectures/.

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"

namespace kinetok {
namespace {

int64_t Product(std::span<const int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

void TensorTable::Add(std::string name, int parameter, bool transposed) {
  Slice(std::move(name), parameter, 0, list_.all[parameter].rows, transposed);
}

void TensorTable::Slice(std::string name, int parameter, int64_t first, int64_t rows, bool transposed) {
  const Parameter& p = list_.all[parameter];
  std::vector<int64_t> shape = {rows};
  if (p.is_matrix()) shape = transposed ? std::vector<int64_t>{p.columns, rows} : std::vector<int64_t>{rows, p.columns};
  out_->push_back({.name = std::move(name),
                   .parameter = parameter,
                   .first_row = first,
                   .rows = rows,
                   .transposed = transposed,
                   .shape = std::move(shape)});
}

void TensorTable::Interleaved(std::string name, int parameter, int64_t first, int64_t rows, int64_t rotary_dim) {
  Slice(std::move(name), parameter, first, rows);
  out_->back().rotary_dim = rotary_dim;
}

void TensorTable::Bias(std::string name, int parameter, int64_t size) {
  if (parameter >= 0) return Add(std::move(name), parameter);
  out_->push_back({.name = std::move(name), .rows = size, .zero_filled = true, .shape = {size}});
}

void TensorTable::Shaped(std::string name, int parameter, std::vector<int64_t> shape, int64_t first) {
  const Parameter& p = list_.all[parameter];
  const int64_t rows = Product(shape) / std::max<int64_t>(1, p.columns);
  out_->push_back(
      {.name = std::move(name), .parameter = parameter, .first_row = first, .rows = rows, .shape = std::move(shape)});
}

void TensorTable::Unread(std::string name, std::vector<int64_t> shape) {
  const int64_t elements = Product(shape);
  out_->push_back(
      {.name = std::move(name), .rows = elements, .zero_filled = true, .unread = true, .shape = std::move(shape)});
}

std::span<const Architecture* const> Architectures() {
  static const Architecture* const all[] = {&kGpt1, &kGpt2, &kGptNeo, &kLlama, &kBert, &kOpenVla};
  return all;
}

const Architecture* FindArchitecture(std::string_view model_type) {
  for (const Architecture* a : Architectures()) {
    if (a->model_type == model_type) return a;
  }
  return nullptr;
}

namespace {

const Architecture& ArchitectureOf(const ModelConfig& config) {
  const Architecture* found = FindArchitecture(config.model_type);
  KINETOK_CHECK(found != nullptr);
  return *found;
}

}  // namespace

std::vector<PublishedTensor> PublishedTensors(const ModelConfig& config, const ParameterList& list) {
  std::vector<PublishedTensor> out;
  TensorTable table(list, &out);
  ArchitectureOf(config).tensors(config, table);
  return out;
}

std::string CanonicalTensorName(const ModelConfig& config, std::string_view name) {
  const Architecture& a = ArchitectureOf(config);
  const auto begins = [name](std::string_view beginning) { return name.starts_with(beginning); };
  const bool whole = begins(a.prefix) || std::any_of(a.unprefixed.begin(), a.unprefixed.end(), begins);
  std::string out = (whole ? "" : std::string(a.prefix)) + std::string(name);
  for (const auto& [theirs, ours] : a.spellings) {
    const size_t at = out.find(theirs);
    if (at != std::string::npos) out.replace(at, theirs.size(), ours);
  }
  return out;
}

bool IsIgnorableTensor(const ModelConfig& config, std::string_view name) {
  const auto& endings = ArchitectureOf(config).ignorable;
  return std::any_of(endings.begin(), endings.end(),
                     [name](std::string_view ending) { return name.ends_with(ending); });
}

std::string_view OriginalOfCopy(const ModelConfig& config, std::string_view name) {
  for (const auto& [copy, original] : ArchitectureOf(config).copies) {
    if (name == copy) return original;
  }
  return "";
}

}  // namespace kinetok
