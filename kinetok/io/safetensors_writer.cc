#include <algorithm>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

std::vector<TensorSpec> WiderTypesFirst(std::vector<TensorSpec> tensors) {
  std::ranges::stable_sort(tensors, std::ranges::greater(), [](const TensorSpec& t) { return DTypeSize(t.dtype); });
  return tensors;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> specs,
                                     std::map<std::string, std::string> metadata)
    : TensorWriter(std::move(path), WiderTypesFirst(std::move(specs)), 1) {
  OrderedJson header = OrderedJson::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (size_t i = 0; i < tensors().size(); ++i) {
    const TensorSpec& t = tensors()[i];
    if (t.name == "__metadata__") Fail("tensor \"{}\" is declared twice", t.name);
    const int64_t begin = offsets()[i], end = begin + TensorBytes(t);
    // Appended without a look-up: ordered_json searches all keys, which takes seconds for thousands of tensors.
    header.get_ref<OrderedJson::object_t&>().emplace_back(
        t.name, OrderedJson{{"dtype", StoredTypeName(t.dtype)}, {"shape", t.shape}, {"data_offsets", {begin, end}}});
  }
  std::string text = header.dump();
  text.resize(static_cast<size_t>(RoundUp(static_cast<int64_t>(text.size()), 8)), ' ');
  uint64_t length = text.size();
  text.insert(0, reinterpret_cast<const char*>(&length), sizeof(length));
  WriteHeader(text);
}

}  // namespace kinetok
