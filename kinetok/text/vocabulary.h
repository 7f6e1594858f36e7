// The pieces of a tokenizer's vocabulary, and the tokens added to it that are found in a text before anything else.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kinetok/base/thread_pool.h"
#include "kinetok/text/byte_trie.h"

namespace kinetok {

inline constexpr int32_t kMaxTokenId = (1 << 24) - 1;
inline constexpr int32_t kMaxIdHoles = 1 << 16;  // ids below the largest one that no piece has

struct StringHash : std::hash<std::string_view> {
  using is_transparent = void;
};

class Vocabulary {
 public:
  // Throws Error, beginning with `source`, when the piece or the id is taken already or the id is out of range.
  void Add(std::string_view piece, int64_t id, std::string_view source);

  std::optional<int32_t> Find(std::string_view piece) const;
  bool Has(int32_t id) const { return id >= 0 && id < size() && by_id_[static_cast<size_t>(id)] != nullptr; }
  const std::string& Piece(int32_t id) const { return *by_id_[static_cast<size_t>(id)]; }  // of an id that it has
  int32_t size() const { return static_cast<int32_t>(by_id_.size()); }                     // the largest id + 1
  int32_t count() const { return static_cast<int32_t>(ids_.size()); }

 private:
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> ids_;
  std::vector<const std::string*> by_id_;  // into ids_, whose nodes stay where they are
};

// As in tokenizer.json's "added_tokens".
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;
  bool normalized = false;   // searched for after the others, in what they leave
  bool lstrip = false;       // swallows the white space before it
  bool rstrip = false;       // ... and after it
  bool single_word = false;  // not beside a letter, a digit or another character of words
};

class AddedTokens {
 public:
  // Throws Error, beginning with `source`, on an empty content or one that was added before. A normalized token is
  // searched for as `searched`, its content after normalization.
  void Add(const AddedToken& token, std::string_view source) { AddAs(token, token.content, source); }
  void AddAs(const AddedToken& token, std::string_view searched, std::string_view source);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* Find(std::string_view content) const;
  const AddedToken* Find(int32_t id) const;

  // Cuts `text` at the tokens typed in it, leftmost first, the longest on a tie: those that are not normalized, or the
  // normalized ones. Plain stretches come with id -1, and tokens with theirs. Special tokens are plain text unless
  // `parse_special`.
  using Visit = FunctionRef<void(std::string_view part, int32_t id)>;
  void Split(std::string_view text, bool parse_special, Visit visit) const {
    SplitBy(raw_, text, parse_special, visit);
  }
  void SplitNormalized(std::string_view text, bool parse_special, Visit visit) const {
    SplitBy(normalized_, text, parse_special, visit);
  }

 private:
  // Contents with their index into tokens_.
  void SplitBy(const ByteTrie& trie, std::string_view text, bool parse_special, Visit visit) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, size_t, StringHash, std::equal_to<>> by_content_;
  std::unordered_map<int32_t, size_t> by_id_;
  ByteTrie raw_, normalized_;
};

}  // namespace kinetok
