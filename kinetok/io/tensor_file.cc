#include "kinetok/io/tensor_file.h"

#include <bit>
#include <cstring>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/json.h"

namespace kinetok {

static_assert(std::endian::native == std::endian::little, "tensors are read where they lie");

std::string QuoteName(std::string_view name) {
  std::string text = Json(name).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 200) text = text.substr(0, 197) + "...";
  return text;
}

int64_t TensorInfo::elements() const {
  return CheckedElements(shape).value_or(0);
}

void TensorFile::SetTensors(std::vector<TensorInfo> tensors) {
  tensors_ = std::move(tensors);
  for (const TensorInfo& t : tensors_) by_name_[t.name] = &t;
}

const TensorInfo* TensorFile::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

void TensorFile::Drop(const TensorInfo& tensor) const {
  file_.Drop(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.bytes));
}

std::string TensorData::Describe() const {
  return fmt::format("{}: tensor {}", file->path().string(), QuoteName(info->name));
}

DType TensorData::RequireType() const {
  if (!info->type)
    Fail("{} has type {}, which is not supported yet; expected F32, F16 or BF16", Describe(), info->dtype);
  return *info->type;
}

void TensorData::LoadF32(int64_t first, std::span<float> out) const {
  const DType type = RequireType();
  const auto count = static_cast<int64_t>(out.size());
  KINETOK_CHECK(first >= 0 && count <= info->elements() && first <= info->elements() - count);
  if (out.empty()) return;
  const std::byte* data = bytes().data() + first * DTypeSize(type);
  if (type == DType::kF32) {
    std::memcpy(out.data(), data, out.size_bytes());
  } else {
    for (int64_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = LoadElement(type, data, i);
  }
}

}  // namespace kinetok
