// tokenizer.json's "pre_tokenizer": how a stretch of text is cut into the words that the model sees one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/base/thread_pool.h"
#include "kinetok/text/unicode.h"

namespace kinetok {

class PreTokenizer {
 public:
  PreTokenizer() = default;  // a stretch is one word
  // Throws Error naming the type or the field that is not supported.
  PreTokenizer(const Json& json, const std::string& source);

  const Json& json() const { return json_; }
  // Says in json() what the model does itself.
  void Keep(const Json& json) { json_ = json; }

  // ByteLevel is the last step: the model takes words as bytes, not as characters.
  bool byte_level() const { return byte_level_; }
  // Of a pre-tokenizer that is GPT-2's rule and nothing else: whether it adds a space before a stretch.
  std::optional<bool> Gpt2PrefixSpace() const;
  // A Metaspace that puts its character before the start of a text alone.
  bool prepends_to_start() const { return prepends_to_start_; }
  // Words may hold the character "▁" of a Metaspace or of a normalizer anywhere: cut before it too, once a run. The
  // model says when that changes nothing.
  void CutBeforeSpaces() { steps_.emplace_back(SpaceRuns{}); }

  // Calls `visit` with each word; a word may lie in `text` or in memory that lasts only for the call. `at_start` says
  // that the stretch begins what the user gave.
  using Visit = FunctionRef<void(std::string_view)>;
  void Split(std::string_view text, bool at_start, Visit visit) const { Run(0, text, at_start, visit); }

 private:
  // What happens to the parts that a rule sets apart.
  enum class Behavior : uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  enum class Prepend : uint8_t { kAlways, kFirst, kNever };

  struct Gpt2 {  // GPT-2's rule (gpt2_split.h), unless `use_regex` is false
    bool add_prefix_space = false, use_regex = true;
  };
  struct Bert {};             // white space is removed, punctuation isolated
  struct Whitespace {};       // \w+|[^\w\s]+
  struct WhitespaceSplit {};  // white space is removed
  struct Metaspace {
    std::string replacement;
    Prepend prepend = Prepend::kAlways;
    bool split = true;
  };
  struct SplitText {
    std::string pattern;
    Behavior behavior;
    bool invert;
  };
  struct SplitTrait {  // Digits, Punctuation
    Trait trait;
    Behavior behavior;
  };
  struct SpaceRuns {};
  using Step = std::variant<Gpt2, Bert, Whitespace, WhitespaceSplit, Metaspace, SplitText, SplitTrait, SpaceRuns>;

  struct Part {
    size_t begin, end;
    bool matched;
  };

  void Read(const JsonObject& object);
  void ReadSplit(const JsonObject& object);
  static Behavior ReadBehavior(const JsonObject& object, Behavior fallback);

  void Run(size_t step, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const Gpt2& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const Bert& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const Whitespace& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const WhitespaceSplit& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const Metaspace& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const SplitText& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const SplitTrait& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  void Apply(const SpaceRuns& step, size_t next, std::string_view text, bool at_start, Visit visit) const;
  // `parts` tile the text; those that match are treated as `behavior` says.
  void RunParts(const std::vector<Part>& parts, Behavior behavior, size_t next, std::string_view text, bool at_start,
                Visit visit) const;

  std::vector<Step> steps_;
  bool byte_level_ = false, prepends_to_start_ = false;
  Json json_;
};

// The character "▁" (U+2581) that stands for a space in SentencePiece's vocabularies.
inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// GPT-2's rule as a regular expression, as published.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Whether a Split's pattern takes every character by itself.
bool IsCharacterPattern(std::string_view regex);

}  // namespace kinetok
