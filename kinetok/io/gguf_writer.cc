#include <algorithm>
#include <type_traits>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/io/gguf.h"
#include "kinetok/io/gguf_types.h"

namespace kinetok {
namespace {

constexpr uint32_t kVersion = 3;

template <class T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void AppendString(std::string& out, std::string_view text) {
  Append<uint64_t>(out, text.size());
  out += text;
}

template <class T>
GgufType TypeOf() {
  if constexpr (std::is_same_v<T, uint32_t>) return GgufType::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufType::kInt32;
  if constexpr (std::is_same_v<T, float>) return GgufType::kFloat32;
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  return GgufType::kString;
}

template <class T>
void AppendElement(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    AppendString(out, value);
  } else {
    Append(out, value);
  }
}

template <class T>
void AppendValue(std::string& out, const T& value) {
  Append(out, TypeOf<T>());
  AppendElement(out, value);
}

template <class T>
void AppendValue(std::string& out, const std::vector<T>& values) {
  Append(out, GgufType::kArray);
  Append(out, TypeOf<T>());
  Append<uint64_t>(out, values.size());
  for (const T& value : values) AppendElement(out, value);
}

}  // namespace

std::string GgufHeaderBytes(const std::vector<TensorSpec>& tensors, const GgufFields& fields) {
  const std::vector<int64_t> offsets = PlaceTensors(tensors, kGgufAlignment);
  std::string header(kGgufMagic);
  Append(header, kVersion);
  Append<uint64_t>(header, tensors.size());
  Append<uint64_t>(header, fields.size());
  for (const auto& [key, data] : fields) {
    AppendString(header, key);
    std::visit([&](const auto& value) { AppendValue(header, value); }, data);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorSpec& t = tensors[i];
    AppendString(header, t.name);
    Append(header, static_cast<uint32_t>(t.shape.size()));
    for (size_t d = t.shape.size(); d-- > 0;) Append(header, static_cast<uint64_t>(t.shape[d]));
    Append(header, std::ranges::find(kGgmlTypes, t.dtype, &GgmlType::type)->id);
    Append(header, static_cast<uint64_t>(offsets[i]));
  }
  header.resize(static_cast<size_t>(RoundUp(static_cast<int64_t>(header.size()), kGgufAlignment)), '\0');
  return header;
}

GgufWriter::GgufWriter(std::filesystem::path path, std::vector<TensorSpec> specs, const GgufFields& fields)
    : TensorWriter(std::move(path), std::move(specs), kGgufAlignment) {
  WriteHeader(GgufHeaderBytes(tensors(), fields));
}

}  // namespace kinetok
