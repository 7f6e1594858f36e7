#include "kinetok/text/json_fields.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/text/utf8.h"

namespace kinetok {

void AllowFields(const JsonObject& object, FieldNames names) {
  for (const auto& [key, value] : object.json().items()) {
    if (std::ranges::find(names, key) == names.end()) {
      Fail("{}: field \"{}\" ({}) is not supported", object.source(), key, Shorten(value));
    }
  }
}

void RequireValue(const JsonObject& object, std::string_view key, const Json& value) {
  if (object.Has(key) && object.json().at(std::string(key)) != value) {
    Fail("{}: field \"{}\" is {}; only {} is supported here", object.source(), key,
         Shorten(object.json().at(std::string(key))), Shorten(value));
  }
}

void RefuseType(const JsonObject& object, std::string_view supported) {
  Fail("{}: type \"{}\" is not supported ({})", object.source(), object.String("type"), supported);
}

Pattern ReadPattern(const JsonObject& object) {
  const JsonObject json = object.Object("pattern");
  AllowFields(json, {"String", "Regex"});
  const bool regex = json.Has("Regex");
  if (regex && json.Has("String")) Fail("{}: expected either a \"String\" or a \"Regex\"", json.source());
  Pattern pattern;
  (regex ? pattern.regex : pattern.text) = json.String(regex ? "Regex" : "String");
  if (pattern.regex.empty() && pattern.text.empty()) {
    Fail("{}: field \"{}\" is empty", json.source(), regex ? "Regex" : "String");
  }
  return pattern;
}

std::string ReadTextPattern(const JsonObject& object) {
  const Pattern pattern = ReadPattern(object);
  if (!pattern.regex.empty()) {
    Fail("{}: field \"pattern\" is the regular expression \"{}\"; only a \"String\" is supported", object.source(),
         pattern.regex);
  }
  return pattern.text;
}

std::string ReadCharacter(const JsonObject& object, std::string_view key) {
  const std::string text = object.String(key);
  size_t end = 0;
  if (!text.empty()) NextCodePoint(text, end);
  if (text.empty() || end != text.size()) {
    Fail("{}: field \"{}\" is \"{}\", expected one character", object.source(), key, text);
  }
  return text;
}

OrderedJson Canonical(const Json& json) {
  if (json.is_array()) {
    OrderedJson array = OrderedJson::array();
    for (const Json& entry : json) array.push_back(Canonical(entry));
    return array;
  }
  if (!json.is_object()) return json;
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  std::ranges::sort(keys, {}, [](const std::string& key) { return std::tuple(key != "type", key != "pattern", key); });
  OrderedJson object = OrderedJson::object();
  for (const std::string& key : keys) object[key] = Canonical(json.at(key));
  return object;
}

}  // namespace kinetok
