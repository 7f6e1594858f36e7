#include "kinetok/text/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "kinetok/base/error.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

constexpr size_t kMaxPieceBytes = 1 << 10;   // every way to cut a piece in two is looked at
constexpr int32_t kUnknownSymbol = 1 << 25;  // a character that no piece contains; above all others

Vocabulary MakeVocabulary(const std::vector<SentencePiece>& pieces, std::string_view source) {
  Vocabulary vocabulary;
  for (const SentencePiece& piece : pieces) {
    const int32_t id = vocabulary.size();
    if (piece.text.empty()) Fail("{}: the piece with id {} is empty", source, id);
    if (piece.text.size() > kMaxPieceBytes) {
      Fail("{}: the piece with id {} is {} bytes long, expected at most {}", source, id, piece.text.size(),
           kMaxPieceBytes);
    }
    RequireUtf8(piece.text, fmt::format("{}: the piece with id {}", source, id));
    if (!std::isfinite(piece.score)) {
      Fail("{}: piece \"{}\" (id {}) has the score {}, expected a finite number", source, piece.text, id, piece.score);
    }
    vocabulary.Add(piece.text, id, source);
  }
  return vocabulary;
}

bool IsMerged(const SentencePiece& piece) {
  return piece.type == PieceType::kNormal || piece.type == PieceType::kUnused;
}

}  // namespace

SentencePieceBpe::SentencePieceBpe(std::vector<SentencePiece> pieces, std::optional<int32_t> unk,
                                   std::string_view source)
    : TokenizerModel(MakeVocabulary(pieces, source)), pieces_(std::move(pieces)), unk_(unk.value_or(-1)) {
  byte_ids_.fill(-1);
  for (int b = 0; b < 256; ++b) {
    const auto id = vocabulary().Find(BytePiece(static_cast<char>(b)));
    if (id && pieces_[static_cast<size_t>(*id)].type == PieceType::kByte) byte_ids_[static_cast<size_t>(b)] = *id;
  }
  has_bytes_ = std::ranges::count(byte_ids_, -1) == 0;
  for (size_t id = 0; id < pieces_.size(); ++id) {
    const SentencePiece& piece = pieces_[id];
    if (piece.type == PieceType::kByte && std::ranges::find(byte_ids_, static_cast<int32_t>(id)) == byte_ids_.end()) {
      Fail("{}: piece \"{}\" (id {}) is marked as a byte, expected \"<0x00>\" to \"<0xFF>\"", source, piece.text, id);
    }
    if (IsMerged(piece)) symbols_.emplace(piece.text, static_cast<int32_t>(id));
  }
  for (const SentencePiece& piece : pieces_) {
    if (!IsMerged(piece)) continue;
    for (size_t i = 0; i < piece.text.size();) {
      const size_t begin = i;
      NextCodePoint(piece.text, i);
      const std::string character = piece.text.substr(begin, i - begin);
      const auto next = static_cast<int32_t>(pieces_.size() + characters_.size());
      if (symbols_.try_emplace(character, next).second) characters_.push_back(character);
    }
  }
  // Equal scores have equal ranks: the leftmost pair goes first.
  std::vector<float> scores;
  for (const SentencePiece& piece : pieces_) {
    if (IsMerged(piece)) scores.push_back(piece.score);
  }
  std::ranges::sort(scores, std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  for (const Pair& pair : Pairs()) {
    const float score = pieces_[static_cast<size_t>(pair.merged)].score;
    const auto rank = std::ranges::lower_bound(scores, score, std::greater<>()) - scores.begin();
    table_.Set(pair.left, pair.right, {static_cast<int32_t>(rank), pair.merged});
    makes_unused_ = makes_unused_ || pieces_[static_cast<size_t>(pair.merged)].type == PieceType::kUnused;
  }
}

int32_t SentencePieceBpe::Symbol(std::string_view text) const {
  const auto it = symbols_.find(text);
  return it == symbols_.end() ? -1 : it->second;
}

std::vector<SentencePieceBpe::Pair> SentencePieceBpe::Pairs() const {
  std::vector<Pair> pairs;
  for (size_t id = 0; id < pieces_.size(); ++id) {
    if (!IsMerged(pieces_[id])) continue;
    const std::string_view text = pieces_[id].text;
    size_t at = 0;
    for (NextCodePoint(text, at); at < text.size(); NextCodePoint(text, at)) {
      const int32_t left = Symbol(text.substr(0, at)), right = Symbol(text.substr(at));
      if (left >= 0 && right >= 0) pairs.push_back({left, right, static_cast<int32_t>(id)});
    }
  }
  return pairs;
}

bool SentencePieceBpe::MayCutBeforeSpaces() const {
  // What an unused piece falls apart into depends on the whole text; without bytes, unknown characters on both sides of
  // a space that is unknown too would be one.
  if (makes_unused_ || !(has_bytes_ || vocabulary().Find(kMetaspace))) return false;
  return std::ranges::none_of(pieces_, [](const SentencePiece& piece) {
    const std::string_view text = piece.text;
    for (size_t at = text.find(kMetaspace, 1); at != std::string_view::npos; at = text.find(kMetaspace, at + 1)) {
      if (!text.substr(0, at).ends_with(kMetaspace)) return IsMerged(piece);
    }
    return false;
  });
}

void SentencePieceBpe::AppendSymbol(int32_t symbol, const MergeTable::Origins& origins,
                                    std::vector<int32_t>& ids) const {
  if (symbol < static_cast<int32_t>(pieces_.size())) {
    // A piece that is not to be used falls apart again into what it was made of.
    const auto origin = origins.find(symbol);
    if (pieces_[static_cast<size_t>(symbol)].type == PieceType::kUnused && origin != origins.end()) {
      AppendSymbol(origin->second.first, origins, ids);
      AppendSymbol(origin->second.second, origins, ids);
    } else {
      ids.push_back(symbol);
    }
    return;
  }
  KINETOK_CHECK(symbol < kUnknownSymbol);
  ids.push_back(symbol);
}

void SentencePieceBpe::Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  const size_t first = ids.size();
  std::vector<std::string_view> unknown;  // the characters without a symbol, in order
  for (size_t i = 0; i < word.size();) {
    const size_t begin = i;
    NextCodePoint(word, i);
    const std::string_view character = word.substr(begin, i - begin);
    const int32_t symbol = Symbol(character);
    if (symbol < 0) unknown.push_back(character);
    ids.push_back(symbol < 0 ? kUnknownSymbol : symbol);
  }
  MergeTable::Origins origins;
  if (makes_unused_) {
    table_.Apply(ids, first, origins);
  } else {
    table_.Apply(ids, first);
  }
  const auto pieces = static_cast<int32_t>(pieces_.size());
  if (!makes_unused_ && std::all_of(ids.begin() + static_cast<ptrdiff_t>(first), ids.end(),
                                    [&](int32_t symbol) { return symbol < pieces; })) {
    return;
  }
  const std::vector<int32_t> symbols(ids.begin() + static_cast<ptrdiff_t>(first), ids.end());
  ids.resize(first);
  std::vector<int32_t> resolved;
  for (const int32_t symbol : symbols) {
    if (symbol == kUnknownSymbol) {
      resolved.push_back(symbol);
    } else {
      AppendSymbol(symbol, origins, resolved);
    }
  }
  size_t next_unknown = 0;
  bool after_unknown = false;
  for (const int32_t symbol : resolved) {
    if (symbol < pieces) {
      ids.push_back(symbol);
      after_unknown = false;
      continue;
    }
    const std::string_view character =
        symbol == kUnknownSymbol ? unknown[next_unknown++] : characters_[static_cast<size_t>(symbol - pieces)];
    if (has_bytes_) {
      for (const char c : character) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
      continue;
    }
    if (unk_ < 0) {
      Fail("character \"{}\" near byte {} of the text is not in the vocabulary, which has no unknown token", character,
           offset);
    }
    if (!after_unknown) ids.push_back(unk_);
    after_unknown = true;
  }
}

OrderedJson SentencePieceBpe::Describe() const {
  OrderedJson model = {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", unk_ < 0 ? OrderedJson() : OrderedJson(pieces_[static_cast<size_t>(unk_)].text)},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", true},
                       {"byte_fallback", has_bytes_},
                       {"ignore_merges", false}};
  model["vocab"] = DescribeVocabulary(vocabulary());
  std::vector<Pair> pairs = Pairs();
  std::erase_if(pairs, [&](const Pair& pair) { return std::max(pair.left, pair.right) >= vocabulary().size(); });
  std::ranges::stable_sort(pairs, {}, [&](const Pair& pair) {
    const auto& piece = [&](int32_t id) -> const SentencePiece& { return pieces_[static_cast<size_t>(id)]; };
    return std::tuple(-piece(pair.merged).score, pair.left, pair.right);
  });
  model["merges"] = OrderedJson::array();
  for (const Pair& pair : pairs) {
    model["merges"].push_back(OrderedJson::array({vocabulary().Piece(pair.left), vocabulary().Piece(pair.right)}));
  }
  return model;
}

}  // namespace kinetok
