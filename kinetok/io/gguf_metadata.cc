#include <cmath>
#include <cstring>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/io/gguf.h"
#include "kinetok/io/gguf_types.h"

namespace kinetok {
namespace {

template <class T>
T Stored(const GgufValue& value, int64_t index) {
  T out;
  std::memcpy(&out, value.bytes.data() + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return out;
}

// An element as JSON, which has all of the format's kinds: integers of both signs, floats, bools, strings.
OrderedJson Element(const GgufValue& value, int64_t index) {
  switch (value.type) {
    case GgufType::kUint8:
      return Stored<uint8_t>(value, index);
    case GgufType::kInt8:
      return Stored<int8_t>(value, index);
    case GgufType::kUint16:
      return Stored<uint16_t>(value, index);
    case GgufType::kInt16:
      return Stored<int16_t>(value, index);
    case GgufType::kUint32:
      return Stored<uint32_t>(value, index);
    case GgufType::kInt32:
      return Stored<int32_t>(value, index);
    case GgufType::kFloat32:
      return Stored<float>(value, index);
    case GgufType::kBool:
      return Stored<uint8_t>(value, index) != 0;
    case GgufType::kString:
      return value.strings[static_cast<size_t>(index)];
    case GgufType::kUint64:
      return Stored<uint64_t>(value, index);
    case GgufType::kInt64:
      return Stored<int64_t>(value, index);
    case GgufType::kFloat64:
      return Stored<double>(value, index);
    case GgufType::kArray:
      break;
  }
  KINETOK_CHECK(false);
  return nullptr;
}

std::string Shown(const GgufValue& value) {
  if (value.is_array) return fmt::format("an array of {} {}", value.count, InfoOf(value.type).name);
  return Shorten(Json(Element(value, 0)));
}

// The element when it is a whole number from `low` to `high`.
std::optional<int64_t> Whole(const GgufValue& value, int64_t index, int64_t low, int64_t high) {
  const OrderedJson element = Element(value, index);
  const bool fits = element.is_number_integer() &&
                    (!element.is_number_unsigned() || element.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  if (!fits || element.get<int64_t>() < low || element.get<int64_t>() > high) return std::nullopt;
  return element.get<int64_t>();
}

}  // namespace

bool GgufMetadata::Add(std::string_view key, GgufValue value) {
  if (!fields_.emplace(std::string(key), std::move(value)).second) return false;
  order_.emplace_back(key);
  return true;
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto it = fields_.find(key);
  return it == fields_.end() ? nullptr : &it->second;
}

const GgufValue& GgufMetadata::Get(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) Fail("{}: required field \"{}\" is missing", source_, key);
  return *value;
}

const GgufValue& GgufMetadata::Get(std::string_view key, bool array, std::string_view expected) const {
  const GgufValue& value = Get(key);
  if (value.is_array != array) Fail("{}: field \"{}\" is {}, expected {}", source_, key, Shown(value), expected);
  return value;
}

int64_t GgufMetadata::Int(std::string_view key, int64_t low, int64_t high) const {
  const GgufValue& value = Get(key, false, "a whole number");
  const auto whole = Whole(value, 0, low, high);
  if (!whole) {
    Fail("{}: field \"{}\" is {}, expected a whole number from {} to {}", source_, key, Shown(value), low, high);
  }
  return *whole;
}

double GgufMetadata::Number(std::string_view key) const {
  const GgufValue& value = Get(key, false, "a number");
  const OrderedJson element = Element(value, 0);
  if (!element.is_number() || !std::isfinite(element.get<double>())) {
    Fail("{}: field \"{}\" is {}, expected a finite number", source_, key, Shown(value));
  }
  return element.get<double>();
}

bool GgufMetadata::Bool(std::string_view key) const {
  const GgufValue& value = Get(key, false, "a bool");
  if (value.type != GgufType::kBool) Fail("{}: field \"{}\" is {}, expected a bool", source_, key, Shown(value));
  return Element(value, 0).get<bool>();
}

std::string GgufMetadata::String(std::string_view key) const {
  const GgufValue& value = Get(key, false, "a string");
  if (value.type != GgufType::kString) Fail("{}: field \"{}\" is {}, expected a string", source_, key, Shown(value));
  return std::string(value.strings[0]);
}

std::vector<std::string> GgufMetadata::Strings(std::string_view key) const {
  const GgufValue& value = Get(key, true, "an array of strings");
  if (value.type != GgufType::kString) {
    Fail("{}: field \"{}\" is {}, expected an array of strings", source_, key, Shown(value));
  }
  return {value.strings.begin(), value.strings.end()};
}

std::vector<int64_t> GgufMetadata::Ints(std::string_view key, int64_t low, int64_t high) const {
  const GgufValue& value = Get(key, true, "an array of whole numbers");
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(value.count));
  for (int64_t i = 0; i < value.count; ++i) {
    const auto whole = Whole(value, i, low, high);
    if (!whole) {
      Fail("{}: field \"{}\" holds {}, expected whole numbers from {} to {}", source_, key,
           Shorten(Json(Element(value, i))), low, high);
    }
    out.push_back(*whole);
  }
  return out;
}

std::vector<float> GgufMetadata::Floats(std::string_view key) const {
  const GgufValue& value = Get(key, true, "an array of float32");
  if (value.type != GgufType::kFloat32) {
    Fail("{}: field \"{}\" is {}, expected an array of float32", source_, key, Shown(value));
  }
  std::vector<float> out;
  out.reserve(static_cast<size_t>(value.count));
  for (int64_t i = 0; i < value.count; ++i) out.push_back(Stored<float>(value, i));
  return out;
}

int64_t GgufMetadata::Int(std::string_view key, int64_t low, int64_t high, int64_t fallback) const {
  return Has(key) ? Int(key, low, high) : fallback;
}
double GgufMetadata::Number(std::string_view key, double fallback) const {
  return Has(key) ? Number(key) : fallback;
}
bool GgufMetadata::Bool(std::string_view key, bool fallback) const {
  return Has(key) ? Bool(key) : fallback;
}
std::string GgufMetadata::String(std::string_view key, std::string fallback) const {
  return Has(key) ? String(key) : std::move(fallback);
}

OrderedJson GgufMetadata::ToJson(int64_t longest) const {
  OrderedJson out = OrderedJson::object();
  auto& entries = out.get_ref<OrderedJson::object_t&>();  // whose own insertion searches all keys
  for (const std::string& key : order_) {
    const GgufValue& value = *Find(key);
    if (!value.is_array) {
      entries.emplace_back(key, Element(value, 0));
    } else if (value.count > longest) {
      entries.emplace_back(key, OrderedJson{{"type", InfoOf(value.type).name}, {"count", value.count}});
    } else {
      OrderedJson list = OrderedJson::array();
      for (int64_t i = 0; i < value.count; ++i) list.push_back(Element(value, i));
      entries.emplace_back(key, std::move(list));
    }
  }
  return out;
}

}  // namespace kinetok
