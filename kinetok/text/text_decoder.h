// tokenizer.json's "decoder": how pieces become text, one piece after another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"

namespace kinetok {

class TextDecoder {
 public:
  TextDecoder();  // null: pieces with a space between them
  // Throws Error naming the type or the field that is not supported.
  TextDecoder(const Json& json, const std::string& source);

  const Json& json() const { return json_; }

 private:
  friend class DecodingRun;
  enum class Kind : uint8_t { kJoin, kByteLevel, kWordPiece, kBpe, kSpaces, kReplace, kByteFallback, kStrip };
  struct Step {
    Kind kind;
    std::string text = {};     // the prefix, suffix, pattern or character
    std::string content = {};  // what Replace puts in its place
    bool flag = false;         // WordPiece: cleanup; Metaspace: the first piece loses its spaces; Strip: after a Fuse
    int start = 0, stop = 0;   // how many characters Strip takes
  };
  void Read(const JsonObject& object);

  std::vector<Step> steps_;
  bool fused_ = false;  // later steps see one piece, the text
  Json json_;
};

enum class DecodeMode : uint8_t {
  kWhole,   // nothing is given out before the text is known to its end: as Hugging Face decodes it
  kStream,  // byte pieces are given out as soon as a character is whole; bytes that can never become one are U+FFFD.
            // (In a whole text one such byte makes all byte pieces beside it U+FFFD.)
  kBytes,   // byte pieces are their bytes
};

// One text on its way.
class DecodingRun {
 public:
  DecodingRun(const TextDecoder& decoder, DecodeMode mode);  // `decoder` must outlive it

  // Appends what `piece` adds to the text; it may hold back what depends on the next piece.
  void Push(std::string_view piece, std::string& bytes);
  // Appends what was held back, at the end of a text or, unless `last`, before a further piece.
  void Finish(std::string& bytes, bool last = true);
  // Goes on as if a piece had come before.
  void PastTheStart();

 private:
  struct State {
    bool started = false;
    int removed = 0;   // characters that a Strip has taken from the start
    std::string held;  // given out with the next piece, or at the end
  };
  void Feed(size_t step, std::string&& piece, std::string& bytes);
  bool FeedByte(State& state, char byte, std::string& piece) const;
  void FinishBytes(size_t step, std::string& bytes);

  const TextDecoder* decoder_;
  DecodeMode mode_;
  std::vector<State> states_;  // a step's
};

}  // namespace kinetok
