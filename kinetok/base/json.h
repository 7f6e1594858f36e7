// JSON from files: parsed with nlohmann::json, read through accessors whose errors name the file, the field and the
// value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

// Compiled once, in json.cc, and not in every file that holds a value.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace kinetok {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// What a document may hold; values and keys count, and so does every list and object.
struct JsonLimits {
  int max_depth = 64;
  int64_t max_values = std::numeric_limits<int64_t>::max();
};

// `source` (a file name) is what errors name. Throws Error with the line and column of the fault.
Json ParseJson(std::string_view text, std::string_view source, const JsonLimits& limits = {});

// A JSON object together with the name of where it came from.
class JsonObject {
 public:
  JsonObject(const Json& value, std::string source);  // throws Error unless `value` is an object

  const std::string& source() const { return source_; }
  const Json& json() const { return *value_; }
  bool Has(std::string_view key) const;                                // present and not null
  void AllowKeys(std::initializer_list<std::string_view> keys) const;  // throws Error naming a key that is none of them

  // Required fields: absent, null, of another type or out of range is an Error.
  int64_t Int(std::string_view key, int64_t low, int64_t high) const;
  double Number(std::string_view key) const;  // finite
  bool Bool(std::string_view key) const;
  std::string String(std::string_view key) const;
  JsonObject Object(std::string_view key) const;
  const Json& Array(std::string_view key) const;

  // Optional fields: `fallback` when absent or null, an Error when of another type.
  int64_t Int(std::string_view key, int64_t low, int64_t high, int64_t fallback) const;
  double Number(std::string_view key, double fallback) const;
  bool Bool(std::string_view key, bool fallback) const;
  std::string String(std::string_view key, std::string fallback) const;

 private:
  const Json& Get(std::string_view key) const;
  const Json* value_;
  std::string source_;
};

// A value for an error message, shortened to 60 characters.
std::string Shorten(const Json& value);

}  // namespace kinetok
