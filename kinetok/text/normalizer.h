// tokenizer.json's "normalizer": what is done to a stretch of text before it is cut into words.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/text/unicode.h"

namespace kinetok {

class Normalizer {
 public:
  Normalizer() = default;  // leaves a text as it is
  // Throws Error naming the type or the field that is not supported.
  Normalizer(const Json& json, const std::string& source);

  bool empty() const { return steps_.empty(); }
  const Json& json() const { return json_; }

  // `text` is valid UTF-8, and so is what comes out.
  std::string Apply(std::string_view text) const;

  // Whether it may leave out the beginning of a text.
  bool MayDropTheStart() const;

 private:
  struct Bert {  // google-research/bert, tokenization.py
    bool clean_text = true, chinese_characters = true, strip_accents = true, lowercase = true;
  };
  struct Lower {};
  struct StripAccents {};
  struct Form {
    NormalForm form;
  };
  struct Prepend {  // before a text that is not empty
    std::string text;
  };
  struct Replace {
    std::string pattern, content;
  };
  struct Strip {
    bool left = true, right = true;
  };
  using Step = std::variant<Bert, Lower, StripAccents, Form, Prepend, Replace, Strip>;

  void Read(const JsonObject& object);
  // `limit` is how long a text may become.

  static std::string Run(const Bert& step, std::string_view text, size_t limit);
  static std::string Run(const Lower& step, std::string_view text, size_t limit);
  static std::string Run(const StripAccents& step, std::string_view text, size_t limit);
  static std::string Run(const Form& step, std::string_view text, size_t limit);
  static std::string Run(const Prepend& step, std::string_view text, size_t limit);
  static std::string Run(const Replace& step, std::string_view text, size_t limit);
  static std::string Run(const Strip& step, std::string_view text, size_t limit);

  std::vector<Step> steps_;
  Json json_;
};

// `text` with every `pattern`, leftmost first, replaced. Throws Error when it grows beyond `limit` bytes.
std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content,
                       size_t limit = size_t{1} << 20);

// `text` without the white space at either end.
std::string_view StripLeft(std::string_view text);
std::string_view StripRight(std::string_view text);

}  // namespace kinetok
