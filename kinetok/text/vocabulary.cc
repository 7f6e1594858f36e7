#include "kinetok/text/vocabulary.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/normalizer.h"
#include "kinetok/text/unicode.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

// Whether the character that ends before `end`, or that begins at `begin`, is one of words.
bool EndsWithWord(std::string_view text, size_t end) {
  if (end == 0) return false;
  size_t at = end - 1;
  while ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return HasTrait(NextCodePoint(text, at), kWordCharacter);
}

bool StartsWithWord(std::string_view text, size_t begin) {
  return begin < text.size() && HasTrait(NextCodePoint(text, begin), kWordCharacter);
}

}  // namespace

void Vocabulary::Add(std::string_view piece, int64_t id, std::string_view source) {
  if (id < 0 || id > kMaxTokenId) {
    Fail("{}: piece \"{}\" has id {}, expected 0 to {}", source, piece, id, kMaxTokenId);
  }
  if (id > int64_t{count()} + kMaxIdHoles) {
    Fail("{}: piece \"{}\" has id {}, but there are only {} pieces; at most {} ids may be unused", source, piece, id,
         count(), kMaxIdHoles);
  }
  const auto index = static_cast<size_t>(id);
  if (index < by_id_.size() && by_id_[index] != nullptr) {
    Fail("{}: pieces \"{}\" and \"{}\" have the same id {}", source, *by_id_[index], piece, id);
  }
  const auto [it, fresh] = ids_.emplace(piece, static_cast<int32_t>(id));
  if (!fresh) Fail("{}: piece \"{}\" appears twice, with ids {} and {}", source, piece, it->second, id);
  if (index >= by_id_.size()) by_id_.resize(index + 1, nullptr);
  by_id_[index] = &it->first;
}

std::optional<int32_t> Vocabulary::Find(std::string_view piece) const {
  const auto it = ids_.find(piece);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

void AddedTokens::AddAs(const AddedToken& token, std::string_view searched, std::string_view source) {
  if (token.content.empty()) Fail("{}: the added token with id {} has an empty \"content\"", source, token.id);
  if (Find(token.content) != nullptr) Fail("{}: added token \"{}\" appears twice", source, token.content);
  if (const AddedToken* other = Find(token.id)) {
    Fail("{}: added tokens \"{}\" and \"{}\" have the same id {}", source, other->content, token.content, token.id);
  }
  (token.normalized ? normalized_ : raw_).Add(searched, static_cast<int32_t>(tokens_.size()));
  by_id_.emplace(token.id, tokens_.size());
  by_content_.emplace(token.content, tokens_.size());
  tokens_.push_back(token);
}

const AddedToken* AddedTokens::Find(std::string_view content) const {
  const auto it = by_content_.find(content);
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::Find(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

void AddedTokens::SplitBy(const ByteTrie& trie, std::string_view text, bool parse_special, Visit visit) const {
  if (trie.empty() && !text.empty()) {
    visit(text, -1);
    return;
  }
  size_t done = 0;  // what lies before this has been visited
  for (size_t i = 0; i < text.size();) {
    const ByteTrie::Match match = trie.Starts(text[i]) ? trie.Longest(text.substr(i)) : ByteTrie::Match();
    if (match.value < 0) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(match.value)];
    const size_t end = i + match.size;
    if ((token.special && !parse_special) ||
        (token.single_word && (EndsWithWord(text, i) || StartsWithWord(text, end)))) {
      i = end;
      continue;
    }
    const size_t before = token.lstrip ? done + StripRight(text.substr(done, i - done)).size() : i;
    const size_t after = token.rstrip ? text.size() - StripLeft(text.substr(end)).size() : end;
    if (before > done) visit(text.substr(done, before - done), -1);
    visit(text.substr(before, after - before), token.id);
    done = i = after;
  }
  if (done < text.size()) visit(text.substr(done), -1);
}

}  // namespace kinetok
