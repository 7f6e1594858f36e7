#include "kinetok/text/text_decoder.h"

#include <charconv>
#include <optional>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/byte_alphabet.h"
#include "kinetok/text/json_fields.h"
#include "kinetok/text/normalizer.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What English loses when its words are joined by spaces: as transformers' clean_up_tokenization.
std::string CleanUp(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = ReplaceAll(text, from, to);
  return text;
}

// The byte that "<0x0A>" stands for.
std::optional<char> ByteOfPiece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  uint8_t byte = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

}  // namespace

TextDecoder::TextDecoder() : steps_{{.kind = Kind::kJoin}} {}

TextDecoder::TextDecoder(const Json& json, const std::string& source) : json_(json) {
  if (json.is_null()) {
    steps_.push_back({.kind = Kind::kJoin});
  } else {
    Read(JsonObject(json, source));
  }
}

void TextDecoder::Read(const JsonObject& object) {
  const std::string type = object.String("type");
  if (fused_ && type != "Strip" && type != "Fuse" && type != "Sequence") {
    Fail("{}: \"{}\" after Fuse or ByteLevel is not supported", object.source(), type);
  }
  if (type == "Sequence") {
    AllowFields(object, {"type", "decoders"});
    for (const Json& entry : object.Array("decoders")) Read(JsonObject(entry, object.source() + ": decoders"));
  } else if (type == "ByteLevel") {
    AllowFields(object, {"type", "add_prefix_space", "trim_offsets", "use_regex"});  // of its pre-tokenizer's side
    steps_.push_back({.kind = Kind::kByteLevel});
    fused_ = true;
  } else if (type == "Fuse") {
    AllowFields(object, {"type"});
    fused_ = true;
  } else if (type == "WordPiece") {
    AllowFields(object, {"type", "prefix", "cleanup"});
    steps_.push_back(
        {.kind = Kind::kWordPiece, .text = object.String("prefix", "##"), .flag = object.Bool("cleanup", true)});
  } else if (type == "BPEDecoder") {
    AllowFields(object, {"type", "suffix"});
    steps_.push_back({.kind = Kind::kBpe, .text = object.String("suffix", "</w>")});
    if (steps_.back().text.empty()) Fail("{}: field \"suffix\" is empty", object.source());
  } else if (type == "Metaspace") {
    AllowFields(object, {"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    const std::string scheme =
        object.String("prepend_scheme", object.Bool("add_prefix_space", true) ? "always" : "never");
    steps_.push_back({.kind = Kind::kSpaces, .text = ReadCharacter(object, "replacement"), .flag = scheme != "never"});
  } else if (type == "Replace") {
    AllowFields(object, {"type", "pattern", "content"});
    steps_.push_back({.kind = Kind::kReplace, .text = ReadTextPattern(object), .content = object.String("content")});
  } else if (type == "ByteFallback") {
    AllowFields(object, {"type"});
    steps_.push_back({.kind = Kind::kByteFallback});
  } else if (type == "Strip") {
    AllowFields(object, {"type", "content", "start", "stop"});
    constexpr int64_t kMost = 1 << 20;
    steps_.push_back({.kind = Kind::kStrip,
                      .text = ReadCharacter(object, "content"),
                      .flag = fused_,
                      .start = static_cast<int>(object.Int("start", 0, kMost)),
                      .stop = static_cast<int>(object.Int("stop", 0, kMost))});
  } else {
    RefuseType(object,
               "ByteLevel, WordPiece, BPEDecoder, Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence are");
  }
}

DecodingRun::DecodingRun(const TextDecoder& decoder, DecodeMode mode)
    : decoder_(&decoder), mode_(mode), states_(decoder.steps_.size()) {}

void DecodingRun::Push(std::string_view piece, std::string& bytes) {
  Feed(0, std::string(piece), bytes);
}

void DecodingRun::PastTheStart() {
  for (size_t i = 0; i < states_.size(); ++i) {
    states_[i].started = true;
    states_[i].removed = decoder_->steps_[i].start;
  }
}

void DecodingRun::Feed(size_t at, std::string&& piece, std::string& bytes) {
  if (at == decoder_->steps_.size()) {
    bytes += piece;
    return;
  }
  using Kind = TextDecoder::Kind;
  const TextDecoder::Step& step = decoder_->steps_[at];
  State& state = states_[at];
  const bool first = !std::exchange(state.started, true);
  switch (step.kind) {
    case Kind::kJoin:
      if (!first) piece = " " + piece;
      break;
    case Kind::kByteLevel: {
      std::string plain;
      AppendBytesOf(piece, plain);
      piece = std::move(plain);
      break;
    }
    case Kind::kWordPiece:
      if (!first) {
        if (piece.starts_with(step.text)) {
          piece.erase(0, step.text.size());
        } else {
          piece = " " + piece;
        }
      }
      if (step.flag) piece = CleanUp(std::move(piece));
      break;
    case Kind::kBpe: {
      // A suffix is a space before the next piece, and nothing at the end: what follows the first one waits.
      std::string all = ReplaceAll(std::exchange(state.held, {}), step.text, " ");
      const size_t suffix = piece.find(step.text);
      if (suffix != std::string::npos) state.held = piece.substr(suffix);
      all += piece.substr(0, suffix);
      piece = std::move(all);
      break;
    }
    case Kind::kSpaces:
      piece = ReplaceAll(piece, step.text, first && step.flag ? "" : " ");
      break;
    case Kind::kReplace:
      piece = ReplaceAll(piece, step.text, step.content);
      break;
    case Kind::kByteFallback:
      if (const auto byte = ByteOfPiece(piece)) {
        if (!FeedByte(state, *byte, piece)) return;
        break;
      }
      FinishBytes(at, bytes);
      break;
    case Kind::kStrip: {
      if (!step.flag) state.removed = 0;  // each piece by itself
      while (state.removed < step.start && piece.starts_with(step.text)) {
        piece.erase(0, step.text.size());
        ++state.removed;
      }
      if (!piece.empty()) state.removed = step.start;
      std::string all = std::exchange(state.held, {}) + piece;
      size_t end = all.size();
      for (int i = 0; i < step.stop && std::string_view(all).substr(0, end).ends_with(step.text); ++i) {
        end -= step.text.size();
      }
      if (step.flag) state.held = all.substr(end);
      all.resize(end);
      piece = std::move(all);
      break;
    }
  }
  Feed(at + 1, std::move(piece), bytes);
}

// Sets `piece` to what can be given out once `byte` has come; false when that is nothing.
bool DecodingRun::FeedByte(State& state, char byte, std::string& piece) const {
  state.held += byte;
  if (mode_ == DecodeMode::kWhole) return false;
  const size_t complete = mode_ == DecodeMode::kBytes ? state.held.size() : CompleteUtf8(state.held);
  piece = state.held.substr(0, complete);
  state.held.erase(0, complete);
  if (mode_ == DecodeMode::kBytes) return true;
  for (size_t bad; (bad = FindInvalidUtf8(piece)) != std::string::npos;) piece.replace(bad, 1, kReplacementCharacter);
  return !piece.empty();
}

// The byte pieces held so far, as text for the next step.
void DecodingRun::FinishBytes(size_t at, std::string& bytes) {
  std::string held = std::exchange(states_[at].held, {});
  if (held.empty()) return;
  if (FindInvalidUtf8(held) == std::string::npos) {
    Feed(at + 1, std::move(held), bytes);
    return;
  }
  for (size_t i = 0; i < held.size(); ++i) Feed(at + 1, std::string(kReplacementCharacter), bytes);
}

void DecodingRun::Finish(std::string& bytes, bool last) {
  for (size_t at = 0; at < states_.size(); ++at) {
    using Kind = TextDecoder::Kind;
    const TextDecoder::Step& step = decoder_->steps_[at];
    if (step.kind == Kind::kByteFallback) {
      FinishBytes(at, bytes);
    } else if (step.kind == Kind::kBpe && !states_[at].held.empty()) {
      Feed(at + 1, ReplaceAll(std::exchange(states_[at].held, {}), step.text, last ? "" : " "), bytes);
    }
    if (step.kind == Kind::kStrip && !last) Feed(at + 1, std::exchange(states_[at].held, {}), bytes);
    states_[at] = {};  // what a Strip still holds is what it takes away
  }
}

}  // namespace kinetok
