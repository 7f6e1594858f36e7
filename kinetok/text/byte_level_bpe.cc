#include "kinetok/text/byte_level_bpe.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "kinetok/base/error.h"
#include "kinetok/text/gpt2_split.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

constexpr int32_t kNoMerge = std::numeric_limits<int32_t>::max();
constexpr size_t kShortWord = 32;          // up to here a scan of all pairs beats a heap
constexpr size_t kCacheEntries = 1 << 18;  // words remembered within one call

struct ByteAlphabet {
  std::array<char32_t, 256> characters{};
  std::array<int16_t, 512> bytes{};
  ByteAlphabet() {
    bytes.fill(-1);
    char32_t next = 256;  // bytes that are not printable Latin-1 take characters from here on
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      characters[static_cast<size_t>(b)] = printable ? static_cast<char32_t>(b) : next++;
      bytes[characters[static_cast<size_t>(b)]] = static_cast<int16_t>(b);
    }
  }
};

const ByteAlphabet& Alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

char32_t ByteCharacter(uint8_t byte) {
  return Alphabet().characters[byte];
}

int ByteOfCharacter(char32_t character) {
  return character < Alphabet().bytes.size() ? Alphabet().bytes[character] : -1;
}

ByteLevelBpe::ByteLevelBpe(Vocabulary pieces, const Merges& merges, ByteLevelOptions options, std::string_view source)
    : TokenizerModel(std::move(pieces)), options_(options), table_(merges.size()) {
  for (size_t b = 0; b < 256; ++b) {
    std::string piece;
    AppendUtf8(ByteCharacter(static_cast<uint8_t>(b)), piece);
    byte_ids_[b] = vocabulary().Find(piece).value_or(-1);
  }
  if (merges.size() >= static_cast<size_t>(kNoMerge)) Fail("{}: {} merges are too many", source, merges.size());
  merges_.reserve(merges.size());
  for (const auto& merge : merges) {
    const std::string &left = merge.first, &right = merge.second;
    const size_t rank = merges_.size();
    const auto find = [&](const std::string& piece) {
      const auto id = vocabulary().Find(piece);
      if (!id) {
        Fail("{}: merge {} (\"{}\" + \"{}\") needs the piece \"{}\", which the vocabulary lacks", source, rank, left,
             right, piece);
      }
      return *id;
    };
    const std::pair<int32_t, int32_t> pair(find(left), find(right));
    table_[pair] = {static_cast<int32_t>(rank), find(left + right)};  // the last one counts, as in Hugging Face
    merges_.push_back(pair);
  }
}

bool ByteLevelBpe::HasAllBytes() const {
  return std::ranges::count(byte_ids_, -1) == 0;
}

void ByteLevelBpe::Encode(std::string_view text, size_t offset, std::vector<int32_t>& ids) const {
  std::string prefixed;
  if (options_.add_prefix_space && !text.starts_with(' ')) {
    prefixed.reserve(text.size() + 1);
    prefixed += ' ';
    prefixed += text;
    text = prefixed;
    if (offset > 0) --offset;
  }
  // A word's ids, as a stretch of `ids`: most words of a long text have come before.
  struct Stretch {
    size_t begin, size;
  };
  std::unordered_map<std::string_view, Stretch> seen;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = options_.use_regex ? Gpt2WordEnd(text, begin) : text.size();
    const std::string_view word = text.substr(begin, end - begin);
    const auto known = seen.find(word);
    if (known != seen.end()) {
      const Stretch stretch = known->second;
      for (size_t i = 0; i < stretch.size; ++i) ids.push_back(ids[stretch.begin + i]);
    } else {
      const size_t first = ids.size();
      EncodeWord(word, offset + begin, ids);
      if (seen.size() < kCacheEntries) seen.emplace(word, Stretch{first, ids.size() - first});
    }
    begin = end;
  }
}

void ByteLevelBpe::EncodeWord(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    std::string piece;
    for (const char c : word) AppendUtf8(ByteCharacter(static_cast<uint8_t>(c)), piece);
    if (const auto id = vocabulary().Find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  const size_t first = ids.size();
  for (size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<uint8_t>(word[i]);
    if (byte_ids_[byte] < 0) {
      Fail("byte {} of the text (0x{:02X}) has no piece in the vocabulary", offset + i, byte);
    }
    ids.push_back(byte_ids_[byte]);
  }
  if (word.size() <= kShortWord) {
    MergeShort(ids, first);
  } else {
    MergeLong(ids, first);
  }
}

void ByteLevelBpe::MergeShort(std::vector<int32_t>& ids, size_t first) const {
  size_t size = ids.size() - first;
  int32_t* const symbols = ids.data() + first;
  std::array<Merge, kShortWord> merges;  // of each symbol with the next one
  const auto look_up = [&](size_t i) {
    const Merge* merge = i + 1 < size ? table_.Find(symbols[i], symbols[i + 1]) : nullptr;
    merges[i] = merge != nullptr ? *merge : Merge{kNoMerge, 0};
  };
  for (size_t i = 0; i < size; ++i) look_up(i);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoMerge) break;
    symbols[best] = merges[best].id;
    --size;
    for (size_t i = best + 1; i < size; ++i) {
      symbols[i] = symbols[i + 1];
      merges[i] = merges[i + 1];
    }
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  ids.resize(first + size);
}

void ByteLevelBpe::MergeLong(std::vector<int32_t>& ids, size_t first) const {
  // The symbols as a linked list by position, and the possible merges in a heap. An entry is out of date when the two
  // symbols at its place have changed since.
  struct Symbol {
    int32_t id;
    size_t previous, next;
  };
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  constexpr int32_t kGone = -1;
  struct Entry {
    int32_t rank;
    size_t position;
    int32_t left, right, id;
    bool operator>(const Entry& other) const { return std::tie(rank, position) > std::tie(other.rank, other.position); }
  };
  std::vector<Symbol> symbols(ids.size() - first);
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap;
  const auto push = [&](size_t at) {
    const size_t next = symbols[at].next;
    if (next == kNone) return;
    if (const Merge* merge = table_.Find(symbols[at].id, symbols[next].id)) {
      heap.push({merge->rank, at, symbols[at].id, symbols[next].id, merge->id});
    }
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i] = {ids[first + i], i == 0 ? kNone : i - 1, i + 1 == symbols.size() ? kNone : i + 1};
  }
  for (size_t i = 0; i < symbols.size(); ++i) push(i);
  while (!heap.empty()) {
    const Entry top = heap.top();
    heap.pop();
    Symbol& left = symbols[top.position];
    if (left.id != top.left || left.next == kNone || symbols[left.next].id != top.right) continue;
    Symbol& right = symbols[left.next];
    left.id = top.id;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = top.position;
    push(top.position);
    if (left.previous != kNone) push(left.previous);
  }
  size_t size = first;
  for (const Symbol& symbol : symbols) {
    if (symbol.id != kGone) ids[size++] = symbol.id;
  }
  ids.resize(size);
}

void ByteLevelBpe::Decode(int32_t id, int32_t /*previous*/, std::string& bytes) const {
  const std::string& piece = vocabulary().Piece(id);
  const size_t start = bytes.size();
  for (size_t i = 0; i < piece.size();) {
    const int byte = ByteOfCharacter(NextCodePoint(piece, i));
    if (byte < 0) {  // a piece that is not written in the alphabet of bytes stands for itself
      bytes.replace(start, std::string::npos, piece);
      return;
    }
    bytes += static_cast<char>(byte);
  }
}

void ByteLevelBpe::Describe(OrderedJson& tokenizer) const {
  tokenizer["normalizer"] = nullptr;
  tokenizer["pre_tokenizer"] = {{"type", "ByteLevel"},
                                {"add_prefix_space", options_.add_prefix_space},
                                {"trim_offsets", true},
                                {"use_regex", options_.use_regex}};
  tokenizer["decoder"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  OrderedJson merges = OrderedJson::array();
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const auto [left, right] = merges_[rank];
    if (table_.Find(left, right)->rank != static_cast<int32_t>(rank)) continue;  // a later line took its place
    merges.push_back(OrderedJson::array({vocabulary().Piece(left), vocabulary().Piece(right)}));
  }
  OrderedJson& model = tokenizer["model"];
  model = {{"type", "BPE"},
           {"dropout", nullptr},
           {"unk_token", nullptr},
           {"continuing_subword_prefix", nullptr},
           {"end_of_word_suffix", nullptr},
           {"fuse_unk", false},
           {"byte_fallback", false},
           {"ignore_merges", options_.ignore_merges}};
  model["vocab"] = DescribeVocabulary(vocabulary());
  model["merges"] = std::move(merges);
}

}  // namespace kinetok
