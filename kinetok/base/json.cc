#include "kinetok/base/json.h"

#include <cmath>
#include <utility>

#include "kinetok/base/error.h"

template class nlohmann::basic_json<>;
template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace kinetok {

namespace {

// As much of a value as a message could show: it may be megabytes long, and printed several times that. `left` is how
// many values more may follow.
Json Beginning(const Json& value, int& left) {
  constexpr size_t kEnough = 64;  // characters
  --left;
  if (value.is_string()) return value.get_ref<const std::string&>().substr(0, kEnough);
  if (!value.is_structured()) return value;
  Json out = value.is_array() ? Json::array() : Json::object();
  for (const auto& item : value.items()) {
    if (left <= 0) break;
    if (value.is_array()) {
      out.push_back(Beginning(item.value(), left));
    } else {
      out[item.key().substr(0, kEnough)] = Beginning(item.value(), left);
    }
  }
  return out;
}

}  // namespace

std::string Shorten(const Json& value) {
  int left = 64;
  std::string text = Beginning(value, left).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

Json ParseJson(std::string_view text, std::string_view source, const JsonLimits& limits) {
  // The library takes a NUL for the end of the text.
  if (const size_t nul = text.find('\0'); nul != text.npos) Fail("{}: not valid JSON: NUL at byte {}", source, nul);
  int64_t values = 0;
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t event, Json&) {
      if (depth > limits.max_depth) Fail("{}: JSON is nested deeper than {} levels", source, limits.max_depth);
      using Event = Json::parse_event_t;
      const bool counts = event != Event::object_end && event != Event::array_end;
      if (counts && ++values > limits.max_values) Fail("{}: JSON holds more than {} values", source, limits.max_values);
      return true;
    });
  } catch (const Json::exception& e) {
    std::string_view reason = e.what();  // with the whole of a faulty value in it
    const size_t bracket = reason.find("] ");
    if (bracket != std::string::npos) reason.remove_prefix(bracket + 2);
    std::string clean;
    for (const char c : reason.substr(0, 201)) {
      clean += (static_cast<unsigned char>(c) < 0x20 || (c & 0x80) != 0) ? '?' : c;
    }
    if (clean.size() > 200) clean = clean.substr(0, 197) + "...";
    Fail("{}: not valid JSON: {}", source, clean);
  }
}

JsonObject::JsonObject(const Json& value, std::string source) : value_(&value), source_(std::move(source)) {
  if (!value.is_object()) Fail("{}: expected a JSON object, got {}", source_, Shorten(value));
}

bool JsonObject::Has(std::string_view key) const {
  const auto it = value_->find(key);
  return it != value_->end() && !it->is_null();
}

void JsonObject::AllowKeys(std::initializer_list<std::string_view> keys) const {
  for (const auto& item : value_->items()) {
    if (std::ranges::find(keys, item.key()) == keys.end()) {
      Fail("{}: field {} is unknown; expected {}", source_, Shorten(item.key()), fmt::join(keys, ", "));
    }
  }
}

const Json& JsonObject::Get(std::string_view key) const {
  const auto it = value_->find(key);
  if (it == value_->end()) Fail("{}: required field \"{}\" is missing", source_, key);
  if (it->is_null()) Fail("{}: required field \"{}\" is null", source_, key);
  return *it;
}

int64_t JsonObject::Int(std::string_view key, int64_t low, int64_t high) const {
  const Json& v = Get(key);
  const bool fits =
      v.is_number_integer() && (!v.is_number_unsigned() || v.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  if (!fits || v.get<int64_t>() < low || v.get<int64_t>() > high) {
    Fail("{}: field \"{}\" is {}, expected a whole number from {} to {}", source_, key, Shorten(v), low, high);
  }
  return v.get<int64_t>();
}

double JsonObject::Number(std::string_view key) const {
  const Json& v = Get(key);
  if (!v.is_number() || !std::isfinite(v.get<double>())) {
    Fail("{}: field \"{}\" is {}, expected a finite number", source_, key, Shorten(v));
  }
  return v.get<double>();
}

bool JsonObject::Bool(std::string_view key) const {
  const Json& v = Get(key);
  if (!v.is_boolean()) Fail("{}: field \"{}\" is {}, expected true or false", source_, key, Shorten(v));
  return v.get<bool>();
}

std::string JsonObject::String(std::string_view key) const {
  const Json& v = Get(key);
  if (!v.is_string()) Fail("{}: field \"{}\" is {}, expected a string", source_, key, Shorten(v));
  return v.get<std::string>();
}

JsonObject JsonObject::Object(std::string_view key) const {
  const Json& v = Get(key);
  if (!v.is_object()) Fail("{}: field \"{}\" is {}, expected an object", source_, key, Shorten(v));
  return {v, fmt::format("{}: {}", source_, key)};
}

const Json& JsonObject::Array(std::string_view key) const {
  const Json& v = Get(key);
  if (!v.is_array()) Fail("{}: field \"{}\" is {}, expected an array", source_, key, Shorten(v));
  return v;
}

int64_t JsonObject::Int(std::string_view key, int64_t low, int64_t high, int64_t fallback) const {
  return Has(key) ? Int(key, low, high) : fallback;
}
double JsonObject::Number(std::string_view key, double fallback) const {
  return Has(key) ? Number(key) : fallback;
}
bool JsonObject::Bool(std::string_view key, bool fallback) const {
  return Has(key) ? Bool(key) : fallback;
}
std::string JsonObject::String(std::string_view key, std::string fallback) const {
  return Has(key) ? String(key) : std::move(fallback);
}

}  // namespace kinetok
