// Text as token ids: tokenised once into a mapped file, then sampled by offset.
//
// A token file is  "KTTOKEN1"  ids (u16 or u32, little-endian)  JSON about the file  u64 length of the JSON "KTTOKEN1".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// Where one document ends and the next begins. After each the tokenizer's EOS is put, unless the document's own text
// ended with it; a tokenizer without EOS puts nothing after a file, and is an error with kLine and kBlankLine.
enum class DocumentSeparator : uint8_t {
  kNone,       // files follow each other with nothing between
  kFile,       // a file is a document
  kLine,       // a line is a document, without its newline; empty lines count for nothing
  kBlankLine,  // documents stand between empty lines, without their last newline
};
std::string_view DocumentSeparatorName(DocumentSeparator separator);  // "none", "file", "line", "blank-line"
DocumentSeparator ParseDocumentSeparator(std::string_view name);      // Error listing the names when unknown

struct TokeniseOptions {
  DocumentSeparator separator = DocumentSeparator::kFile;
  bool parse_special = true;     // special tokens written in the text become their ids
  size_t chunk_bytes = 4 << 20;  // how much text is encoded at a time, where the tokenizer allows it
  std::function<void(int64_t done, int64_t total)> progress;  // bytes of text
};

// The files under `inputs` (files, or folders searched to the bottom), each argument's in sorted order. Left out are
// names that begin with a dot and the folder `skip`: a run's own files are no data. Throws Error naming a path that
// does not exist, a folder without files, and an input that is `skip` itself.
std::vector<std::filesystem::path> CollectFiles(const std::vector<std::filesystem::path>& inputs,
                                                const std::filesystem::path& skip = {});

// Calls fn for the text of every document of `files` in order, mapped one file at a time. Throws Error naming the file
// and the byte where the text is not UTF-8.
void ForEachDocument(const std::vector<std::filesystem::path>& files, DocumentSeparator separator,
                     const std::function<void(std::string_view)>& fn);

// The length of the longest prefix of `text`, at most `limit` bytes (or of the first longer one when none is that
// short), whose tokens do not depend on what follows under GPT-2's split rule: a space or a newline comes next, and the
// prefix ends with a character that is not white space. No piece of that rule has such a place inside, and only its
// white space looks ahead. text.size() when there is no such place.
size_t SafeCut(std::string_view text, size_t limit);

class TokenFile {
 public:
  // Throws Error naming the file when it is malformed.
  explicit TokenFile(const std::filesystem::path& path);

  int64_t size() const { return size_; }  // tokens
  // What it was made from: {"tokenizer", "sources", "separator", "parse_special", "sha256" of the ids}.
  const Json& about() const { return about_; }
  void Read(int64_t first, std::span<int32_t> out) const;

 private:
  MappedFile file_;
  Json about_;
  int64_t size_ = 0;
  int width_ = 2;  // bytes of an id
};

// The token file at `path` when it holds just this (by tokenizer, options, and every source's path, size and time of
// change); null when it is absent, damaged, or holds something else.
std::shared_ptr<const TokenFile> FindTokens(const std::vector<std::filesystem::path>& files, const Tokenizer& tokenizer,
                                            const TokeniseOptions& options, const std::filesystem::path& path);

// FindTokens, or the files tokenised into `out`.
std::shared_ptr<const TokenFile> TokeniseFiles(const std::vector<std::filesystem::path>& files,
                                               const Tokenizer& tokenizer, const TokeniseOptions& options,
                                               const std::filesystem::path& out);

// Part of a token file.
struct TokenRange {
  std::shared_ptr<const TokenFile> file;
  int64_t first = 0, size = 0;
  void Read(int64_t offset, std::span<int32_t> out) const;  // offset from `first`
};

// The last `fraction` of the tokens is held out: training takes floor(n * (1 - fraction)), validation the rest, as
// nanoGPT splits. 0 <= fraction < 1.
struct DataSplit {
  TokenRange train, validation;
};
DataSplit SplitTokens(std::shared_ptr<const TokenFile> file, double fraction);

// Where sample `index` of the run begins: uniform in [0, tokens - block), a function of (seed, index) alone.
int64_t SampleOffset(uint64_t seed, uint64_t index, int64_t tokens, int64_t block);

}  // namespace kinetok
