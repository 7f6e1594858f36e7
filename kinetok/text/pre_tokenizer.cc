#include "kinetok/text/pre_tokenizer.h"

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/text/gpt2_split.h"
#include "kinetok/text/json_fields.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

// The end of the run of characters at `begin` that `same` holds for; at least one character long.
template <class Same>
size_t RunEnd(std::string_view text, size_t begin, Same same) {
  size_t end = begin;
  NextCodePoint(text, end);
  while (end < text.size()) {
    size_t after = end;
    if (!same(NextCodePoint(text, after))) break;
    end = after;
  }
  return end;
}

}  // namespace

bool IsCharacterPattern(std::string_view regex) {
  const FieldNames characters = {"[\\s\\S]", "[\\S\\s]", "(?m:.)", "(?s:.)"};
  return std::ranges::find(characters, regex) != characters.end();
}

PreTokenizer::PreTokenizer(const Json& json, const std::string& source) : json_(json) {
  if (!json.is_null()) Read(JsonObject(json, source));
}

std::optional<bool> PreTokenizer::Gpt2PrefixSpace() const {
  const Gpt2* step = byte_level_ && steps_.size() == 1 ? &std::get<Gpt2>(steps_[0]) : nullptr;
  return step != nullptr && step->use_regex ? std::optional(step->add_prefix_space) : std::nullopt;
}

PreTokenizer::Behavior PreTokenizer::ReadBehavior(const JsonObject& object, Behavior fallback) {
  if (!object.Has("behavior")) return fallback;
  const std::string name = object.String("behavior");
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  Fail("{}: field \"behavior\" is \"{}\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
       object.source(), name);
}

void PreTokenizer::ReadSplit(const JsonObject& object) {
  AllowFields(object, {"type", "pattern", "behavior", "invert"});
  const Pattern pattern = ReadPattern(object);
  const Behavior behavior = ReadBehavior(object, Behavior::kIsolated);
  const bool invert = object.Bool("invert", false);
  if (pattern.regex.empty()) {
    steps_.emplace_back(SplitText{pattern.text, behavior, invert});
    return;
  }
  if (pattern.regex != kGpt2Pattern) {
    Fail("{}: field \"Regex\" is \"{}\"; only GPT-2's \"{}\" is supported", object.source() + ": pattern",
         pattern.regex, kGpt2Pattern);
  }
  RequireValue(object, "behavior", "Isolated");  // the rule leaves nothing out, so "invert" changes nothing
  steps_.emplace_back(Gpt2{});
}

void PreTokenizer::Read(const JsonObject& object) {
  const std::string type = object.String("type");
  if (byte_level_) Fail("{}: \"{}\" after ByteLevel is not supported", object.source(), type);
  if (type == "Sequence") {
    AllowFields(object, {"type", "pretokenizers"});
    for (const Json& entry : object.Array("pretokenizers")) {
      Read(JsonObject(entry, object.source() + ": pretokenizers"));
    }
  } else if (type == "ByteLevel") {
    AllowFields(object, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    object.Bool("trim_offsets", true);  // where pieces lie in the text, not which they are
    steps_.emplace_back(Gpt2{object.Bool("add_prefix_space", true), object.Bool("use_regex", true)});
    byte_level_ = true;
  } else if (type == "BertPreTokenizer") {
    AllowFields(object, {"type"});
    steps_.emplace_back(Bert{});
  } else if (type == "Whitespace") {
    AllowFields(object, {"type"});
    steps_.emplace_back(Whitespace{});
  } else if (type == "WhitespaceSplit") {
    AllowFields(object, {"type"});
    steps_.emplace_back(WhitespaceSplit{});
  } else if (type == "Metaspace") {
    AllowFields(object, {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    Metaspace step = {ReadCharacter(object, "replacement"), Prepend::kAlways, object.Bool("split", true)};
    RequireValue(object, "str_rep", step.replacement);
    // Files of the first releases say add_prefix_space, which the scheme replaced.
    const std::string scheme =
        object.String("prepend_scheme", object.Bool("add_prefix_space", true) ? "always" : "never");
    if (scheme == "first") {
      step.prepend = Prepend::kFirst;
      prepends_to_start_ = true;
    } else if (scheme == "never") {
      step.prepend = Prepend::kNever;
    } else if (scheme != "always") {
      Fail("{}: field \"prepend_scheme\" is \"{}\", expected always, first or never", object.source(), scheme);
    }
    steps_.emplace_back(step);
  } else if (type == "Split") {
    ReadSplit(object);
  } else if (type == "Digits") {
    AllowFields(object, {"type", "individual_digits"});
    steps_.emplace_back(
        SplitTrait{kNumeric, object.Bool("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous});
  } else if (type == "Punctuation") {
    AllowFields(object, {"type", "behavior"});
    steps_.emplace_back(SplitTrait{kPunctuation, ReadBehavior(object, Behavior::kIsolated)});
  } else {
    RefuseType(object,
               "ByteLevel, BertPreTokenizer, Whitespace, WhitespaceSplit, Metaspace, Split, Digits, Punctuation and "
               "Sequence are");
  }
}

void PreTokenizer::Run(size_t step, std::string_view text, bool at_start, Visit visit) const {
  if (text.empty()) return;
  if (step == steps_.size()) {
    visit(text);
    return;
  }
  std::visit([&](const auto& s) { Apply(s, step + 1, text, at_start, visit); }, steps_[step]);
}

void PreTokenizer::Apply(const Gpt2& step, size_t next, std::string_view text, bool at_start, Visit visit) const {
  std::string prefixed;
  if (step.add_prefix_space && !text.starts_with(' ')) {
    prefixed.reserve(text.size() + 1);
    prefixed += ' ';
    prefixed += text;
    text = prefixed;
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = step.use_regex ? Gpt2WordEnd(text, begin) : text.size();
    Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
    begin = end;
  }
}

void PreTokenizer::Apply(const Bert& /*step*/, size_t next, std::string_view text, bool at_start, Visit visit) const {
  size_t word = 0;
  const auto run = [&](size_t begin, size_t end) {
    Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
  };
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const uint8_t traits = TraitsOf(NextCodePoint(text, i));
    if ((traits & (kWhiteSpace | kPunctuation)) == 0) continue;
    run(word, begin);
    if ((traits & kWhiteSpace) == 0) run(begin, i);
    word = i;
  }
  run(word, text.size());
}

void PreTokenizer::Apply(const Whitespace& /*step*/, size_t next, std::string_view text, bool at_start,
                         Visit visit) const {
  const auto kind = [](char32_t c) { return TraitsOf(c) & (kWordCharacter | kWhiteSpace); };
  for (size_t begin = 0; begin < text.size();) {
    size_t after = begin;
    const auto first = kind(NextCodePoint(text, after));
    const size_t end = RunEnd(text, begin, [&](char32_t c) { return kind(c) == first; });
    if (first != kWhiteSpace) Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
    begin = end;
  }
}

void PreTokenizer::Apply(const WhitespaceSplit& /*step*/, size_t next, std::string_view text, bool at_start,
                         Visit visit) const {
  for (size_t begin = 0; begin < text.size();) {
    size_t after = begin;
    const bool space = HasTrait(NextCodePoint(text, after), kWhiteSpace);
    const size_t end = RunEnd(text, begin, [&](char32_t c) { return HasTrait(c, kWhiteSpace) == space; });
    if (!space) Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
    begin = end;
  }
}

void PreTokenizer::Apply(const Metaspace& step, size_t next, std::string_view text, bool at_start, Visit visit) const {
  std::string replaced;
  replaced.reserve(text.size() + text.size() / 2 + step.replacement.size());
  const bool prepend = step.prepend == Prepend::kAlways || (step.prepend == Prepend::kFirst && at_start);
  if (prepend && !text.starts_with(' ') && !text.starts_with(step.replacement)) replaced += step.replacement;
  for (const char c : text) {
    if (c == ' ') {
      replaced += step.replacement;
    } else {
      replaced += c;
    }
  }
  if (!step.split) {
    Run(next, replaced, at_start, visit);
    return;
  }
  const std::string_view all = replaced;
  for (size_t begin = 0; begin < all.size();) {
    size_t after = begin;
    NextCodePoint(all, after);
    const size_t end = std::min(all.find(step.replacement, after), all.size());
    Run(next, all.substr(begin, end - begin), at_start && begin == 0, visit);
    begin = end;
  }
}

void PreTokenizer::Apply(const SplitText& step, size_t next, std::string_view text, bool at_start, Visit visit) const {
  std::vector<Part> parts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t at = std::min(text.find(step.pattern, begin), text.size());
    if (at > begin) parts.push_back({begin, at, step.invert});
    begin = std::min(at + step.pattern.size(), text.size());
    if (at < text.size()) parts.push_back({at, begin, !step.invert});
  }
  RunParts(parts, step.behavior, next, text, at_start, visit);
}

void PreTokenizer::Apply(const SplitTrait& step, size_t next, std::string_view text, bool at_start, Visit visit) const {
  std::vector<Part> parts;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    const bool matched = HasTrait(NextCodePoint(text, end), step.trait);
    if (!matched) end = RunEnd(text, begin, [&](char32_t c) { return !HasTrait(c, step.trait); });
    parts.push_back({begin, end, matched});
    begin = end;
  }
  RunParts(parts, step.behavior, next, text, at_start, visit);
}

void PreTokenizer::Apply(const SpaceRuns& /*step*/, size_t next, std::string_view text, bool at_start,
                         Visit visit) const {
  for (size_t begin = 0; begin < text.size();) {
    size_t at = begin;
    while (text.substr(at).starts_with(kMetaspace)) at += kMetaspace.size();
    const size_t end = std::min(text.find(kMetaspace, at), text.size());
    Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
    begin = end;
  }
}

void PreTokenizer::RunParts(const std::vector<Part>& parts, Behavior behavior, size_t next, std::string_view text,
                            bool at_start, Visit visit) const {
  const auto run = [&](size_t begin, size_t end) {
    Run(next, text.substr(begin, end - begin), at_start && begin == 0, visit);
  };
  // Words are runs of parts; a part starts one unless it joins what came before it.
  const auto joins = [&](size_t i) {
    const Part &before = parts[i - 1], &part = parts[i];
    switch (behavior) {
      case Behavior::kContiguous:
        return before.matched == part.matched;
      case Behavior::kMergedWithPrevious:  // of several matches in a row only the first joins
        return part.matched && !before.matched;
      case Behavior::kMergedWithNext:  // ... and here only the last
        return before.matched && !part.matched;
      default:
        return false;
    }
  };
  for (size_t i = 0; i < parts.size();) {
    size_t last = i;
    while (last + 1 < parts.size() && joins(last + 1)) ++last;
    if (behavior != Behavior::kRemoved || !parts[i].matched) run(parts[i].begin, parts[last].end);
    i = last + 1;
  }
}

}  // namespace kinetok
