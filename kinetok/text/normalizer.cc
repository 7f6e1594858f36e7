#include "kinetok/text/normalizer.h"

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/text/json_fields.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

// `text` without the characters that have the trait.
std::string Without(std::string_view text, Trait trait) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!HasTrait(NextCodePoint(text, i), trait)) out += text.substr(begin, i - begin);
  }
  return out;
}

}  // namespace

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content, size_t limit) {
  std::string out;
  out.reserve(text.size());
  size_t begin = 0;
  for (size_t at; (at = text.find(pattern, begin)) != std::string_view::npos; begin = at + pattern.size()) {
    out += text.substr(begin, at - begin);
    out += content;
    if (out.size() > limit) {
      Fail("replacing \"{}\" by {} bytes makes more than {} bytes of text", pattern, content.size(), limit);
    }
  }
  out += text.substr(begin);
  return out;
}

std::string_view StripLeft(std::string_view text) {
  size_t begin = 0;
  while (begin < text.size()) {
    size_t after = begin;
    if (!HasTrait(NextCodePoint(text, after), kWhiteSpace)) break;
    begin = after;
  }
  return text.substr(begin);
}

std::string_view StripRight(std::string_view text) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    size_t end = at;
    if (!HasTrait(NextCodePoint(text, end), kWhiteSpace)) break;
    text = text.substr(0, at);
  }
  return text;
}

Normalizer::Normalizer(const Json& json, const std::string& source) : json_(json) {
  if (!json.is_null()) Read(JsonObject(json, source));
}

void Normalizer::Read(const JsonObject& object) {
  const std::string type = object.String("type");
  if (type == "Sequence") {
    AllowFields(object, {"type", "normalizers"});
    for (const Json& entry : object.Array("normalizers")) Read(JsonObject(entry, object.source() + ": normalizers"));
  } else if (type == "BertNormalizer") {
    AllowFields(object, {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    Bert step;
    step.clean_text = object.Bool("clean_text", true);
    step.chinese_characters = object.Bool("handle_chinese_chars", true);
    step.lowercase = object.Bool("lowercase", true);
    step.strip_accents = object.Bool("strip_accents", step.lowercase);
    steps_.emplace_back(step);
  } else if (type == "Lowercase" || type == "StripAccents") {
    AllowFields(object, {"type"});
    if (type == "Lowercase") {
      steps_.emplace_back(Lower{});
    } else {
      steps_.emplace_back(StripAccents{});
    }
  } else if (type == "NFD" || type == "NFC" || type == "NFKD" || type == "NFKC") {
    AllowFields(object, {"type"});
    steps_.emplace_back(Form{type == "NFD"    ? NormalForm::kNfd
                             : type == "NFC"  ? NormalForm::kNfc
                             : type == "NFKD" ? NormalForm::kNfkd
                                              : NormalForm::kNfkc});
  } else if (type == "Prepend") {
    AllowFields(object, {"type", "prepend"});
    steps_.emplace_back(Prepend{object.String("prepend")});
  } else if (type == "Replace") {
    AllowFields(object, {"type", "pattern", "content"});
    steps_.emplace_back(Replace{ReadTextPattern(object), object.String("content")});
  } else if (type == "Strip") {
    AllowFields(object, {"type", "strip_left", "strip_right"});
    steps_.emplace_back(Strip{object.Bool("strip_left"), object.Bool("strip_right")});
  } else {
    RefuseType(
        object,
        "BertNormalizer, Lowercase, StripAccents, NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip and Sequence are");
  }
}

std::string Normalizer::Apply(std::string_view text) const {
  // Files that make a text grow without end are no tokenizers.
  const size_t limit = 64 * text.size() + (size_t{1} << 20);
  std::string out(text);
  for (const Step& step : steps_) {
    out = std::visit([&](const auto& s) { return Run(s, out, limit); }, step);
  }
  return out;
}

bool Normalizer::MayDropTheStart() const {
  return std::ranges::any_of(steps_, [](const Step& step) {
    return std::holds_alternative<Bert>(step) || std::holds_alternative<StripAccents>(step) ||
           std::holds_alternative<Strip>(step) ||
           (std::holds_alternative<Replace>(step) && std::get<Replace>(step).content.empty());
  });
}

std::string Normalizer::Run(const Bert& step, std::string_view text, size_t /*limit*/) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const char32_t c = NextCodePoint(text, i);
    const uint8_t traits = TraitsOf(c);
    const std::string_view character = text.substr(begin, i - begin);
    if (step.clean_text && c != '\t' && c != '\n' && c != '\r') {
      if ((traits & kCleaned) != 0) continue;
    }
    if (step.clean_text && (traits & kWhiteSpace) != 0) {
      out += ' ';
    } else if (step.chinese_characters && (traits & kChinese) != 0) {
      out += ' ';
      out += character;
      out += ' ';
    } else {
      out += character;
    }
  }
  if (step.strip_accents) out = Without(Normalize(out, NormalForm::kNfd), kNonspacingMark);
  return step.lowercase ? Lowercase(out) : out;
}

std::string Normalizer::Run(const Lower& /*step*/, std::string_view text, size_t /*limit*/) {
  return Lowercase(text);
}

std::string Normalizer::Run(const StripAccents& /*step*/, std::string_view text, size_t /*limit*/) {
  return Without(text, kCombiningMark);
}

std::string Normalizer::Run(const Form& step, std::string_view text, size_t /*limit*/) {
  return Normalize(text, step.form);
}

std::string Normalizer::Run(const Prepend& step, std::string_view text, size_t /*limit*/) {
  return text.empty() ? std::string() : step.text + std::string(text);
}

std::string Normalizer::Run(const Replace& step, std::string_view text, size_t limit) {
  return ReplaceAll(text, step.pattern, step.content, limit);
}

std::string Normalizer::Run(const Strip& step, std::string_view text, size_t /*limit*/) {
  if (step.left) text = StripLeft(text);
  return std::string(step.right ? StripRight(text) : text);
}

}  // namespace kinetok
