#include "kinetok/text/vocabulary.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/gpt2_split.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

// Where the white space at the end of `text` begins.
size_t TrailingSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    size_t at = begin - 1;
    while ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    size_t end = at;
    if (ClassOf(NextCodePoint(text, end)) != CharClass::kSpace) break;
    begin = at;
  }
  return begin;
}

size_t LeadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    size_t after = end;
    if (ClassOf(NextCodePoint(text, after)) != CharClass::kSpace) break;
    end = after;
  }
  return end;
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

void AddedTokens::Add(AddedToken token, std::string_view source) {
  if (token.content.empty()) Fail("{}: the added token with id {} has an empty \"content\"", source, token.id);
  if (Find(token.content) != nullptr) Fail("{}: added token \"{}\" appears twice", source, token.content);
  if (const AddedToken* other = Find(token.id)) {
    Fail("{}: added tokens \"{}\" and \"{}\" have the same id {}", source, other->content, token.content, token.id);
  }
  Trie& trie = token.normalized ? normalized_ : raw_;
  int32_t node = 0;
  for (const char c : token.content) {
    int32_t& next = trie.next[{node, static_cast<uint8_t>(c)}];
    if (next == 0) {
      next = static_cast<int32_t>(trie.token.size());
      trie.token.push_back(-1);
    }
    node = next;
  }
  trie.token[static_cast<size_t>(node)] = static_cast<int32_t>(tokens_.size());
  trie.starts[static_cast<uint8_t>(token.content[0])] = true;
  by_id_.emplace(token.id, tokens_.size());
  by_content_.emplace(token.content, tokens_.size());
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokens::Find(std::string_view content) const {
  const auto it = by_content_.find(content);
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::Find(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

void AddedTokens::Split(std::string_view text, bool parse_special, Visit visit) const {
  SplitBy(raw_, text, parse_special, [&](std::string_view part, int32_t id) {
    if (id >= 0) {
      visit(part, id);
    } else {
      SplitBy(normalized_, part, parse_special, visit);
    }
  });
}

void AddedTokens::SplitBy(const Trie& trie, std::string_view text, bool parse_special, Visit visit) const {
  size_t done = 0;  // what lies before this has been visited
  for (size_t i = 0; i < text.size();) {
    if (!trie.starts[static_cast<uint8_t>(text[i])]) {
      ++i;
      continue;
    }
    int32_t node = 0, longest = -1;
    for (size_t j = i; j < text.size(); ++j) {
      const int32_t* next = trie.next.Find(node, static_cast<uint8_t>(text[j]));
      if (next == nullptr) break;
      node = *next;
      if (trie.token[static_cast<size_t>(node)] >= 0) longest = trie.token[static_cast<size_t>(node)];
    }
    if (longest < 0) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(longest)];
    const size_t end = i + token.content.size();
    if (token.special && !parse_special) {
      i = end;
      continue;
    }
    const size_t before = token.lstrip ? done + TrailingSpace(text.substr(done, i - done)) : i;
    const size_t after = token.rstrip ? end + LeadingSpace(text.substr(end)) : end;
    if (before > done) visit(text.substr(done, before - done), -1);
    visit(text.substr(before, after - before), token.id);
    done = i = after;
  }
  if (done < text.size()) visit(text.substr(done), -1);
}

}  // namespace kinetok
