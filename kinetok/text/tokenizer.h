// Text to token ids and back. A Tokenizer is immutable and may be shared between threads.
//
//   auto tokenizer = Tokenizer::Load("models/writer");
//   std::vector<int32_t> ids = tokenizer->Encode("오늘 날씨가");
//   StreamDecoder stream(*tokenizer);
//   for (int32_t id : ids) std::cout << stream.Push(id);
//   std::cout << stream.Finish();
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

struct TokenizerParts;
class DecodingRun;

struct EncodeOptions {
  bool special = false;       // add what the model expects around a text: BOS, [CLS] ... (tokenizer.json's template)
  bool parse_special = true;  // special tokens typed in the text become their ids; false takes them as plain text
};

struct DecodeOptions {
  bool skip_special = false;  // leave special tokens out of the text
};

class Tokenizer {
 public:
  // `path` is a tokenizer.json, a SentencePiece tokenizer.model, a vocab.txt of BERT or one of vocab.json + merges.txt
  // (also under OpenAI's names: encoder.json + vocab.bpe, encoder_bpe_40000.json + vocab_40000.bpe), or a folder that
  // carries them, looked for in this order. vocab.json is GPT-1's when config.json's "model_type" is "openai-gpt" or
  // its pieces end with "</w>", else GPT-2's. tokenizer_config.json beside it names the special tokens; without it <s>
  // and
  // </s>, <|endoftext|>, [CLS] ... are taken when the vocabulary has them. Gives what Hugging Face's `tokenizers` gives
  // on the same file; its "truncation" and "padding" are not read (limits are the model's). Throws Error naming the
  // file and the field for anything else that would change the result and is not supported.
  static std::shared_ptr<const Tokenizer> Load(const std::filesystem::path& path);
  // From the text of a tokenizer.json; `source` is what errors call it.
  static std::shared_ptr<const Tokenizer> FromJson(std::string_view json, std::string_view source);

  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  ~Tokenizer();

  // Throws Error with the byte offset of the first byte that is not valid UTF-8, or of a character that the vocabulary
  // lacks (character-level tokenizers).
  std::vector<int32_t> Encode(std::string_view utf8, const EncodeOptions& options = {}) const;

  // The bytes that the ids stand for: UTF-8 unless a byte-level vocabulary's tokens leave a character incomplete
  // (StreamDecoder and ReplaceInvalidUtf8 turn such bytes into U+FFFD). Throws Error naming an id that the vocabulary
  // lacks.
  std::string Decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;

  // One more than the largest id; a model's vocab_size is at least this. Ids may have holes.
  int32_t vocab_size() const;
  bool Has(int32_t id) const;

  std::string_view Piece(int32_t id) const;                      // as the vocabulary writes it: "Ġworld"
  std::string TokenBytes(int32_t id) const;                      // as it reads in the middle of a text: " world"
  std::optional<int32_t> TokenId(std::string_view piece) const;  // by the vocabulary's spelling
  bool IsSpecial(int32_t id) const;                              // marked special: <|endoftext|>, <s> ...
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> unk_id() const;
  std::optional<int32_t> pad_id() const;
  std::optional<int32_t> cls_id() const;
  std::optional<int32_t> sep_id() const;
  std::optional<int32_t> mask_id() const;

  // Writes tokenizer.json and tokenizer_config.json into `directory` (created when absent). Hugging Face's `tokenizers`
  // loads the first and gives the same ids.
  void Save(const std::filesystem::path& directory) const;
  std::string ToJson() const;  // the tokenizer.json

  const TokenizerParts& parts() const { return *parts_; }

 private:
  std::unique_ptr<const TokenizerParts> parts_;
};

// Decodes token by token and never breaks a character: bytes are held back until the UTF-8 sequence that they begin is
// whole. Bytes that can never become one are given as U+FFFD, one per maximal part, as Python's errors="replace" and
// Hugging Face do. The concatenation of all outputs is ReplaceInvalidUtf8(Decode(ids)), but for pieces such as "<0xE2>"
// that do not make up a character: see DecodeMode in text_decoder.h.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {});  // `tokenizer` must outlive it
  ~StreamDecoder();
  StreamDecoder(const StreamDecoder& other);  // goes on by itself from where the other stands
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;

  std::string Push(int32_t id);
  std::string Finish();  // what is still held back, the end of the text; the decoder is then as new

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  std::unique_ptr<DecodingRun> run_;
  std::string held_;
};

}  // namespace kinetok
