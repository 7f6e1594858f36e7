#include <algorithm>
#include <set>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

constexpr size_t kPieceElements = 1 << 16;

std::string_view StoredName(DType type) {
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

int64_t BytesOf(const TensorSpec& tensor) {
  const auto elements = CheckedElements(tensor.shape);
  const auto bytes = elements ? CheckedMul(*elements, DTypeSize(tensor.dtype)) : std::nullopt;
  if (!bytes) Fail("tensor \"{}\" has shape [{}], which is too large", tensor.name, fmt::join(tensor.shape, ", "));
  return *bytes;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> tensors,
                                     std::map<std::string, std::string> metadata)
    : tensors_(std::move(tensors)), file_(std::move(path)) {
  std::ranges::stable_sort(tensors_, std::ranges::greater(), [](const TensorSpec& t) { return DTypeSize(t.dtype); });
  OrderedJson header = OrderedJson::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names = {"__metadata__"};
  int64_t end = 0;
  for (const TensorSpec& t : tensors_) {
    if (!names.insert(t.name).second) Fail("tensor \"{}\" is declared twice", t.name);
    const auto next = CheckedAdd(end, BytesOf(t));
    if (!next) Fail("tensor \"{}\" makes the file too large", t.name);
    // Appended without a look-up: ordered_json searches all keys, which takes seconds for thousands of tensors.
    header.get_ref<OrderedJson::object_t&>().emplace_back(
        t.name, OrderedJson{{"dtype", StoredName(t.dtype)}, {"shape", t.shape}, {"data_offsets", {end, *next}}});
    end = *next;
  }
  std::string text = header.dump();
  text.resize(static_cast<size_t>(RoundUp(static_cast<int64_t>(text.size()), 8)), ' ');
  const uint64_t length = text.size();
  file_.Write(std::as_bytes(std::span(&length, 1)));
  file_.Write(text);
  file_bytes_ = static_cast<int64_t>(sizeof(length) + text.size()) + end;
  if (!tensors_.empty()) current_left_ = BytesOf(tensors_[0]);
}

void SafetensorsWriter::BeginPiece(std::string_view name, int64_t bytes) {
  KINETOK_CHECK(current_ < tensors_.size());
  while (tensors_[current_].name != name) {
    KINETOK_CHECK(current_left_ == 0 && current_ + 1 < tensors_.size());
    current_left_ = BytesOf(tensors_[++current_]);
  }
  KINETOK_CHECK(bytes <= current_left_);
  current_left_ -= bytes;
}

void SafetensorsWriter::Write(std::string_view name, std::span<const std::byte> bytes) {
  BeginPiece(name, static_cast<int64_t>(bytes.size()));
  file_.Write(bytes);
}

void SafetensorsWriter::Write(std::string_view name, std::span<const float> values) {
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

void SafetensorsWriter::Commit() {
  KINETOK_CHECK(current_left_ == 0);
  for (size_t i = current_ + 1; i < tensors_.size(); ++i) KINETOK_CHECK(BytesOf(tensors_[i]) == 0);
  file_.Commit();
}

}  // namespace kinetok
