#include "kinetok/io/tensor_writer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr size_t kPieceElements = 1 << 16;

}  // namespace

std::string_view StoredTypeName(DType type) {
  switch (type) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
  }
  KINETOK_CHECK(false);
  return {};
}

int64_t TensorBytes(const TensorSpec& tensor) {
  const auto elements = CheckedElements(tensor.shape);
  const auto bytes = elements ? CheckedMul(*elements, DTypeSize(tensor.dtype)) : std::nullopt;
  if (!bytes) Fail("tensor \"{}\" has shape [{}], which is too large", tensor.name, fmt::join(tensor.shape, ", "));
  return *bytes;
}

std::vector<int64_t> PlaceTensors(const std::vector<TensorSpec>& tensors, int64_t alignment) {
  std::set<std::string_view> names;
  std::vector<int64_t> offsets = {0};
  offsets.reserve(tensors.size() + 1);
  for (const TensorSpec& t : tensors) {
    if (!names.insert(t.name).second) Fail("tensor \"{}\" is declared twice", t.name);
    const auto end = CheckedAdd(offsets.back(), TensorBytes(t));
    if (!end || *end > INT64_MAX / 2) Fail("tensor \"{}\" makes the file too large", t.name);
    offsets.push_back(RoundUp(*end, alignment));
  }
  return offsets;
}

TensorWriter::TensorWriter(std::filesystem::path path, std::vector<TensorSpec> tensors, int64_t alignment)
    : tensors_(std::move(tensors)), offsets_(PlaceTensors(tensors_, alignment)), file_(std::move(path)) {
  if (!tensors_.empty()) current_left_ = TensorBytes(tensors_[0]);
}

void TensorWriter::WriteHeader(std::string_view header) {
  file_.Write(header);
  file_bytes_ = static_cast<int64_t>(header.size()) + offsets_.back();
}

void TensorWriter::Pad() {
  const int64_t room = offsets_[current_ + 1] - offsets_[current_];
  file_.Write(std::string(static_cast<size_t>(room - TensorBytes(tensors_[current_])), '\0'));
}

void TensorWriter::BeginPiece(std::string_view name, int64_t bytes) {
  KINETOK_CHECK(current_ < tensors_.size());
  while (tensors_[current_].name != name) {
    KINETOK_CHECK(current_left_ == 0 && current_ + 1 < tensors_.size());
    Pad();
    current_left_ = TensorBytes(tensors_[++current_]);
  }
  KINETOK_CHECK(bytes <= current_left_);
  current_left_ -= bytes;
}

void TensorWriter::Write(std::string_view name, std::span<const std::byte> bytes) {
  BeginPiece(name, static_cast<int64_t>(bytes.size()));
  file_.Write(bytes);
}

void TensorWriter::Write(std::string_view name, std::span<const float> values) {
  const auto tensor = std::ranges::find(tensors_, name, &TensorSpec::name);
  KINETOK_CHECK(tensor != tensors_.end());
  if (tensor->dtype == DType::kF32) return Write(name, std::as_bytes(values));
  const DType type = tensor->dtype;
  while (!values.empty()) {
    const auto piece = values.first(std::min(values.size(), kPieceElements));
    converted_.resize(piece.size() * static_cast<size_t>(DTypeSize(type)));
    for (size_t i = 0; i < piece.size(); ++i) {
      StoreElement(type, converted_.data(), static_cast<int64_t>(i), piece[i]);
    }
    Write(name, std::span<const std::byte>(converted_));
    values = values.subspan(piece.size());
  }
}

void TensorWriter::Commit() {
  KINETOK_CHECK(current_left_ == 0);
  for (; current_ < tensors_.size(); ++current_) {
    Pad();
    if (current_ + 1 < tensors_.size()) KINETOK_CHECK(TensorBytes(tensors_[current_ + 1]) == 0);
  }
  file_.Commit();
}

}  // namespace kinetok
