#include "kinetok/text/tokenizer_trainer.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/byte_alphabet.h"
#include "kinetok/text/char_level.h"
#include "kinetok/text/gpt2_split.h"
#include "kinetok/text/tokenizer_kinds.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

using Pair = std::pair<int32_t, int32_t>;

AddedTokens MakeSpecialTokens(const std::vector<std::string>& contents, int32_t first_id) {
  AddedTokens added;
  for (const std::string& content : contents) {
    RequireUtf8(content, fmt::format("special token \"{}\"", ReplaceInvalidUtf8(content)));
    added.Add({.content = content, .id = first_id++, .special = true}, "special_tokens");
  }
  return added;
}

std::shared_ptr<const Tokenizer> Finish(TokenizerParts parts, AddedTokens added) {
  parts.added = std::move(added);
  NameEnds(parts);
  NameOthers(parts);
  return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
}

// A distinct word of the texts, as symbols, and how often it occurs.
struct Word {
  std::vector<int32_t> symbols;
  int64_t count;
};

// Merges words pair by pair, the most frequent pair first. Counts are kept up to date from merge to merge; the queue
// is not: an entry whose count has changed goes back into it with the new one (counts never grow behind its back).
class MergeLearner {
 public:
  explicit MergeLearner(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) {
      const auto& symbols = words_[w].symbols;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) Count({symbols[i], symbols[i + 1]}, words_[w].count, w);
    }
    Enqueue();
  }

  struct Candidate {
    int64_t count;
    Pair pair;
    std::vector<uint32_t> words;  // where the pair came up since it was last queued
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  // The most frequent pair, or nothing below `min_frequency`.
  std::optional<Candidate> Pop(int64_t min_frequency) {
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end());
      Candidate& top = queue_.back();
      const int64_t count = counts_.Find(top.pair.first, top.pair.second)->count;
      if (top.count != count) {
        top.count = count;
        std::push_heap(queue_.begin(), queue_.end());
        continue;
      }
      if (count < std::max<int64_t>(min_frequency, 1)) return std::nullopt;
      Candidate best = std::move(top);
      queue_.pop_back();
      return best;
    }
    return std::nullopt;
  }

  void Merge(const Candidate& merge, int32_t id) {
    for (const uint32_t w : merge.words) MergeIn(w, merge.pair, id);
    Enqueue();
  }

 private:
  struct PairState {
    int64_t count = 0;
    std::vector<uint32_t> words;  // new places, until the pair is queued
  };

  // Counts change by `change`; where a pair came up is remembered.
  void Count(Pair pair, int64_t change, size_t word) {
    PairState& state = counts_[pair];
    state.count += change;
    if (change <= 0) return;
    if (state.words.empty()) touched_.push_back(pair);
    if (state.words.empty() || state.words.back() != word) state.words.push_back(static_cast<uint32_t>(word));
  }

  void Enqueue() {
    for (const Pair& pair : touched_) {
      PairState& state = counts_[pair];
      if (state.count > 0) {
        queue_.push_back({state.count, pair, std::move(state.words)});
        std::push_heap(queue_.begin(), queue_.end());
      }
      state.words = {};
    }
    touched_.clear();
  }

  void MergeIn(size_t w, Pair pair, int32_t id) {
    auto& symbols = words_[w].symbols;
    const int64_t count = words_[w].count;
    size_t out = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      if (symbols[i] != pair.first || i + 1 == symbols.size() || symbols[i + 1] != pair.second) {
        symbols[out++] = symbols[i];
        continue;
      }
      if (out > 0) {
        Count({symbols[out - 1], pair.first}, -count, w);
        Count({symbols[out - 1], id}, count, w);
      }
      if (i + 2 < symbols.size()) {
        Count({pair.second, symbols[i + 2]}, -count, w);
        Count({id, symbols[i + 2]}, count, w);
      }
      symbols[out++] = id;
      ++i;
    }
    symbols.resize(out);
  }

  std::vector<Word> words_;
  PairTable<PairState> counts_;
  std::vector<Pair> touched_;
  std::vector<Candidate> queue_;  // a heap
};

}  // namespace

struct BytesBpeTrainer::State {
  BytesBpeOptions options;
  AddedTokens special;
  std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>> words;
};

BytesBpeTrainer::BytesBpeTrainer(BytesBpeOptions options) : state_(std::make_unique<State>()) {
  const int64_t smallest = 256 + static_cast<int64_t>(options.special_tokens.size());
  if (options.vocab_size < smallest || options.vocab_size > kMaxTokenId) {
    Fail("vocab_size is {}; it must be from {} (256 bytes and {} special tokens) to {}", options.vocab_size, smallest,
         options.special_tokens.size(), kMaxTokenId);
  }
  if (options.min_frequency < 1) Fail("min_frequency is {}; it must be at least 1", options.min_frequency);
  state_->special = MakeSpecialTokens(options.special_tokens, 0);
  for (const AddedToken& token : state_->special.tokens()) {
    size_t end = 0;
    const char32_t c = NextCodePoint(token.content, end);
    if (end == token.content.size() && ByteOfCharacter(c) >= 0) {
      Fail("special_tokens holds \"{}\", which is the piece of a byte", token.content);
    }
  }
  state_->options = std::move(options);
}

BytesBpeTrainer::~BytesBpeTrainer() = default;

void BytesBpeTrainer::Add(std::string_view utf8) {
  RequireUtf8(utf8, "the training text");
  state_->special.Split(utf8, true, [&](std::string_view part, int32_t id) {
    for (size_t begin = 0; id < 0 && begin < part.size();) {
      const size_t end = Gpt2WordEnd(part, begin);
      const std::string_view word = part.substr(begin, end - begin);
      const auto known = state_->words.find(word);
      if (known != state_->words.end()) {
        ++known->second;
      } else {
        state_->words.emplace(word, 1);
      }
      begin = end;
    }
  });
}

std::shared_ptr<const Tokenizer> BytesBpeTrainer::Train() const {
  const BytesBpeOptions& options = state_->options;
  const std::string source = "the tokenizer's training";
  Vocabulary vocabulary;
  for (const AddedToken& token : state_->special.tokens()) vocabulary.Add(token.content, token.id, source);

  std::vector<char32_t> characters;
  for (int b = 0; b < 256; ++b) characters.push_back(ByteCharacter(static_cast<uint8_t>(b)));
  std::ranges::sort(characters);
  int32_t byte_ids[256];
  for (const char32_t c : characters) {
    std::string piece;
    AppendUtf8(c, piece);
    byte_ids[ByteOfCharacter(c)] = vocabulary.size();
    vocabulary.Add(piece, vocabulary.size(), source);
  }

  std::vector<Word> words;
  words.reserve(state_->words.size());
  for (const auto& [text, count] : state_->words) {
    Word word{{}, count};
    for (const char c : text) word.symbols.push_back(byte_ids[static_cast<uint8_t>(c)]);
    words.push_back(std::move(word));
  }

  MergeLearner learner(std::move(words));
  Bpe::Merges merges;
  while (vocabulary.size() < options.vocab_size) {
    const auto best = learner.Pop(options.min_frequency);
    if (!best) break;
    const auto& [left, right] = best->pair;
    merges.emplace_back(vocabulary.Piece(left), vocabulary.Piece(right));
    const std::string piece = merges.back().first + merges.back().second;
    auto id = vocabulary.Find(piece);  // two ways may lead to one piece
    if (!id) {
      id = vocabulary.size();
      vocabulary.Add(piece, *id, source);
    }
    learner.Merge(*best, *id);
  }
  return Finish(Gpt2Parts(std::move(vocabulary), merges, false, source), state_->special);
}

CharTrainer::CharTrainer(std::vector<std::string> special_tokens) : special_tokens_(std::move(special_tokens)) {
  MakeSpecialTokens(special_tokens_, 0);  // an error belongs here
}

void CharTrainer::Add(std::string_view utf8) {
  RequireUtf8(utf8, "the training text");
  seen_.resize(0x110000);
  MakeSpecialTokens(special_tokens_, 0).Split(utf8, true, [&](std::string_view part, int32_t id) {
    for (size_t i = 0; id < 0 && i < part.size();) seen_[NextCodePoint(part, i)] = true;
  });
}

std::shared_ptr<const Tokenizer> CharTrainer::Train() const {
  Vocabulary vocabulary;
  for (size_t c = 0; c < seen_.size(); ++c) {
    if (!seen_[c]) continue;
    std::string piece;
    AppendUtf8(static_cast<char32_t>(c), piece);
    vocabulary.Add(piece, vocabulary.size(), "the tokenizer's training");
  }
  if (vocabulary.count() == 0) Fail("a character-level tokenizer needs text; none was given");
  AddedTokens special = MakeSpecialTokens(special_tokens_, vocabulary.size());
  TokenizerParts parts;
  parts.pre_tokenizer.Keep(CharacterSplit());
  parts.decoder = TextDecoder(FuseDecoder(), "the tokenizer's training");
  parts.model = std::make_unique<CharLevel>(std::move(vocabulary), "<unk>");
  return Finish(std::move(parts), std::move(special));
}

}  // namespace kinetok
