#include "kinetok/io/gpt1_params.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHeadDim = 64, kPerLayer = 12;

// A layer's parameters in the file's order: names, and shapes for a given width.
struct LayerTensor {
  const char* name;
  int64_t rows, columns;  // in widths; rows 0: a vector of `columns`
};
constexpr LayerTensor kLayer[kPerLayer] = {
    {"attn.c_attn.weight", 1, 3}, {"attn.c_attn.bias", 0, 3}, {"attn.c_proj.weight", 1, 1}, {"attn.c_proj.bias", 0, 1},
    {"ln_1.weight", 0, 1},        {"ln_1.bias", 0, 1},        {"mlp.c_fc.weight", 1, 4},    {"mlp.c_fc.bias", 0, 4},
    {"mlp.c_proj.weight", 4, 1},  {"mlp.c_proj.bias", 0, 1},  {"ln_2.weight", 0, 1},        {"ln_2.bias", 0, 1}};

std::vector<int64_t> ReadShape(const Json& json, std::string_view source, size_t index) {
  std::vector<int64_t> shape;
  bool good = json.is_array() && !json.empty();
  for (size_t i = 0; good && i < json.size(); ++i) {
    good = json[i].is_number_integer() && json[i] >= 1 && json[i] <= (int64_t{1} << 24);
    if (good && !(i == 0 && json.size() == 3 && json[i] == 1)) shape.push_back(json[i].get<int64_t>());
  }
  if (!good || shape.size() > 2) {
    Fail("{}: shape {} is {}, expected one or two positive sizes, or these after a 1", source, index, Shorten(json));
  }
  return shape;
}

struct Shapes {
  std::vector<std::vector<int64_t>> all;
  int64_t width = 0, layers = 0;
};

Shapes ReadShapes(const Json& json, std::string_view source) {
  if (!json.is_array() || json.size() < 2 + kPerLayer || (json.size() - 2) % kPerLayer != 0) {
    Fail("{}: holds {} shapes, expected 2 and {} for every layer", source, json.is_array() ? json.size() : 0,
         kPerLayer);
  }
  Shapes out;
  for (size_t i = 0; i < json.size(); ++i) out.all.push_back(ReadShape(json[i], source, i));
  for (size_t i = 0; i < 2; ++i) {
    if (out.all[i].size() == 2 && out.all[i][1] == out.all[0].back()) continue;
    Fail("{}: shape {} is [{}], expected that of a table as wide as the first", source, i, fmt::join(out.all[i], ", "));
  }
  out.width = out.all[0][1];
  out.layers = static_cast<int64_t>(json.size() - 2) / kPerLayer;
  if (out.width % kHeadDim != 0) {
    Fail("{}: the width is {}, expected a multiple of {}, the size of a head", source, out.width, kHeadDim);
  }
  for (size_t i = 2; i < out.all.size(); ++i) {
    const LayerTensor& t = kLayer[(i - 2) % kPerLayer];
    std::vector<int64_t> expected = {t.columns * out.width};
    if (t.rows > 0) expected.insert(expected.begin(), t.rows * out.width);
    if (out.all[i] != expected) {
      Fail("{}: shape {} ({}) is [{}], expected [{}]", source, i, t.name, fmt::join(out.all[i], ", "),
           fmt::join(expected, ", "));
    }
  }
  return out;
}

// The value of a key in a .npy header, which is a Python dictionary, up to the next comma outside of parentheses.
std::string_view HeaderField(std::string_view header, std::string_view key, std::string_view source) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos) Fail("{}: the header has no field {}", source, key);
  std::string_view rest = header.substr(at + key.size());
  const size_t begin = rest.find_first_not_of(": ");
  if (begin == std::string_view::npos) Fail("{}: the header's field {} has no value", source, key);
  rest.remove_prefix(begin);
  const size_t end = rest.starts_with('(') ? rest.find(')') : rest.find_first_of(",}");
  if (end == std::string_view::npos) Fail("{}: the header's field {} does not end", source, key);
  return rest.substr(0, end + (rest.starts_with('(') ? 1 : 0));
}

}  // namespace

OrderedJson Gpt1ConfigFromShapes(const Json& shapes, std::string_view source) {
  const Shapes s = ReadShapes(shapes, source);
  return {{"model_type", "openai-gpt"},  {"architectures", {"OpenAIGPTLMHeadModel"}},
          {"vocab_size", s.all[1][0]},   {"n_positions", s.all[0][0]},
          {"n_embd", s.width},           {"n_layer", s.layers},
          {"n_head", s.width / kHeadDim}};
}

std::span<const std::byte> ParseNpyVector(std::span<const std::byte> file, std::string_view source) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.size() < 12 || !text.starts_with("\x93NUMPY")) Fail("{}: is not a .npy file", source);
  const int version = static_cast<unsigned char>(text[6]);
  if (version != 1 && version != 2) Fail("{}: is a .npy file of version {}, expected 1 or 2", source, version);
  const size_t prefix = version == 1 ? 10 : 12;
  size_t length = 0;
  for (size_t i = prefix; i-- > 8;) length = length << 8 | static_cast<unsigned char>(text[i]);
  if (length > text.size() - prefix) {
    Fail("{}: the header has {} bytes, the file only {}", source, length, text.size() - prefix);
  }
  const std::string_view header = text.substr(prefix, length);
  const std::string_view type = HeaderField(header, "'descr'", source);
  if (type != "'<f4'") Fail("{}: holds values of type {}, expected '<f4' (float32)", source, type);
  const std::string_view order = HeaderField(header, "'fortran_order'", source);
  if (order != "False" && order != "True") Fail("{}: fortran_order is {}, expected False", source, order);
  const std::string_view shape = HeaderField(header, "'shape'", source);
  int64_t count = 0;
  const auto [end, fault] = std::from_chars(shape.data() + 1, shape.data() + shape.size(), count);
  const std::string_view tail(end, static_cast<size_t>(shape.data() + shape.size() - end));
  if (fault != std::errc() || count < 0 || (tail != ",)" && tail != ")")) {
    Fail("{}: has shape {}, expected one dimension", source, shape);
  }
  const std::span<const std::byte> values = file.subspan(prefix + length);
  if (CheckedMul<int64_t>(count, 4) != static_cast<int64_t>(values.size())) {
    Fail("{}: {} bytes follow the header, expected those of {} float32 values", source, values.size(), count);
  }
  return values;
}

Gpt1Params::Gpt1Params(const fs::path& dir) : TensorFile(dir / kGpt1Shapes) {
  const std::string source = path().string();
  const auto text = file().bytes();
  const Shapes shapes =
      ReadShapes(ParseJson({reinterpret_cast<const char*>(text.data()), text.size()}, source), source);
  int64_t total = 0;
  for (int number = 0;; ++number) {
    const fs::path name = dir / fmt::format("params_{}.npy", number);
    if (!fs::exists(name)) {
      if (number == 0) Fail("{}: is missing, which holds the values that {} describes", name.string(), kGpt1Shapes);
      break;
    }
    Part part{MappedFile(name), {}, total};
    part.values = ParseNpyVector(part.file.bytes(), name.string());
    total += static_cast<int64_t>(part.values.size());
    parts_.push_back(std::move(part));
  }
  std::vector<TensorInfo> tensors;
  int64_t offset = 0;
  for (size_t i = 0; i < shapes.all.size(); ++i) {
    TensorInfo t;
    t.name = i == 0   ? "transformer.positions_embed.weight"
             : i == 1 ? "transformer.tokens_embed.weight"
                      : fmt::format("transformer.h.{}.{}", (i - 2) / kPerLayer, kLayer[(i - 2) % kPerLayer].name);
    t.dtype = "F32";
    t.type = DType::kF32;
    t.shape = shapes.all[i];
    t.offset = offset;
    t.bytes = 4 * CheckedElements(t.shape).value_or(0);  // sizes up to 2^24 each: no overflow
    offset += t.bytes;
    tensors.push_back(std::move(t));
  }
  if (offset != total) {
    Fail("{}: describes {} values, expected the {} that the {} params_*.npy files hold", source, offset / 4, total / 4,
         parts_.size());
  }
  SetTensors(std::move(tensors));
}

template <class Visit>
void Gpt1Params::ForParts(const TensorInfo& tensor, Visit visit) const {
  for (const Part& part : parts_) {
    const int64_t size = static_cast<int64_t>(part.values.size());
    const int64_t from = std::max<int64_t>(tensor.offset - part.first, 0);
    const int64_t end = std::min(tensor.offset + tensor.bytes - part.first, size);
    if (from < end) visit(part, static_cast<size_t>(from), static_cast<size_t>(end - from));
  }
}

std::span<const std::byte> Gpt1Params::Bytes(const TensorInfo& tensor) const {
  std::span<const std::byte> whole;
  ForParts(tensor, [&](const Part& part, size_t from, size_t bytes) {
    if (static_cast<int64_t>(bytes) == tensor.bytes) whole = part.values.subspan(from, bytes);
  });
  if (!whole.empty()) return whole;
  const std::scoped_lock lock(mutex_);
  std::vector<std::byte>& joined = joined_[&tensor];
  if (joined.empty()) {
    joined.reserve(static_cast<size_t>(tensor.bytes));
    ForParts(tensor, [&](const Part& part, size_t from, size_t bytes) {
      const auto share = part.values.subspan(from, bytes);
      joined.insert(joined.end(), share.begin(), share.end());
    });
  }
  return joined;
}

void Gpt1Params::Drop(const TensorInfo& tensor) const {
  {
    const std::scoped_lock lock(mutex_);
    joined_.erase(&tensor);
  }
  ForParts(tensor, [](const Part& part, size_t from, size_t bytes) {
    const auto header = static_cast<size_t>(part.values.data() - part.file.bytes().data());
    part.file.Drop(header + from, bytes);
  });
}

}  // namespace kinetok
