#include "kinetok/io/npy.h"

#include <fmt/ranges.h>

#include <string>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {

NpyWriter::NpyWriter(const std::filesystem::path& path, std::span<const int64_t> shape) : file_(path) {
  const auto elements = CheckedElements(shape);
  const auto bytes = elements ? CheckedMul<int64_t>(*elements, sizeof(float)) : std::nullopt;
  if (!bytes) Fail("{}: shape [{}] is too large", path.string(), fmt::join(shape, ", "));
  left_ = *elements;

  // The tuple is Python's: a single dimension keeps its comma.
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                   fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr int64_t kPrefix = 10;  // magic, version, header length
  const int64_t total = RoundUp(kPrefix + static_cast<int64_t>(header.size()) + 1, 64);
  const int64_t length = total - kPrefix;
  if (length > 0xffff) Fail("{}: {} dimensions are too many for a .npy file", path.string(), shape.size());
  header.resize(static_cast<size_t>(length - 1), ' ');
  header += '\n';
  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(length & 0xff);
  prefix += static_cast<char>(length >> 8);
  file_.Write(prefix + header);
}

void NpyWriter::Write(std::span<const float> values) {
  KINETOK_CHECK(static_cast<int64_t>(values.size()) <= left_);
  file_.Write(std::as_bytes(values));
  left_ -= static_cast<int64_t>(values.size());
}

void NpyWriter::Commit() {
  KINETOK_CHECK(left_ == 0);
  file_.Commit();
}

void WriteNpy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const float> values) {
  NpyWriter writer(path, shape);
  writer.Write(values);
  writer.Commit();
}

}  // namespace kinetok
