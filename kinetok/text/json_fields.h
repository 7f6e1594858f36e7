// What the readers of tokenizer.json's parts share: nothing that could change the result is passed over.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "kinetok/base/json.h"

namespace kinetok {

using FieldNames = std::initializer_list<std::string_view>;

// Throws Error naming the first field of `object` that is not among `names`.
void AllowFields(const JsonObject& object, FieldNames names);

// Throws Error unless the field is absent, null or equal to `value`.
void RequireValue(const JsonObject& object, std::string_view key, const Json& value);

// Throws Error naming the object's type and what is supported.
[[noreturn]] void RefuseType(const JsonObject& object, std::string_view supported);

// {"pattern": {"String": " "}} or {"Regex": "\\s"}: one of the two is empty.
struct Pattern {
  std::string text, regex;
};
Pattern ReadPattern(const JsonObject& object);
// The same where a "String" alone is supported.
std::string ReadTextPattern(const JsonObject& object);

// A field that holds one character, as UTF-8.
std::string ReadCharacter(const JsonObject& object, std::string_view key);

// As tokenizer.json's parts are written: the type first, then the pattern, the other fields by name.
OrderedJson Canonical(const Json& json);

}  // namespace kinetok
