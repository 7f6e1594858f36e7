#include "kinetok/train/dataset.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <system_error>

#include "kinetok/base/error.h"
#include "kinetok/base/random.h"
#include "kinetok/base/sha256.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "KTTOKEN1";
constexpr std::array<std::string_view, 4> kSeparators = {"none", "file", "line", "blank-line"};

static_assert(std::endian::native == std::endian::little, "token files are little-endian and mapped as they are");

std::string_view AsText(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.size()};
}

// Every character of Unicode's White_Space property: what \s of the split rule matches.
bool IsWhiteSpace(char32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The start of the UTF-8 sequence that ends before `end`.
size_t CharacterBefore(std::string_view text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && end - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return start;
}

// Whether text[i] is a space or newline right after a character that is not white space.
bool IsSafeCut(std::string_view text, size_t i) {
  if (i == 0 || (text[i] != ' ' && text[i] != '\n')) return false;
  size_t before = CharacterBefore(text, i);
  return !IsWhiteSpace(NextCodePoint(text, before));
}

// Whether the tokens of a text are those of its parts, cut by SafeCut: true of byte-level BPE with GPT-2's split rule
// and of character vocabularies; not of tokenizers that normalise or put something before a text.
bool MayCut(const Json& tokenizer) {
  const Json none;
  const auto get = [&none](const Json& object, const char* key) -> const Json& {
    const auto it = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && it != object.end() ? *it : none;
  };
  if (!get(tokenizer, "normalizer").is_null()) return false;
  const Json& split = get(tokenizer, "pre_tokenizer");
  if (get(split, "type") != "ByteLevel" && get(split, "type") != "Split") return false;
  if (get(split, "add_prefix_space") == true) return false;
  for (const Json& added : get(tokenizer, "added_tokens")) {
    const Json& content = get(added, "content");
    if (get(added, "lstrip") == true || get(added, "rstrip") == true) return false;
    if (content.is_string() && content.get_ref<const std::string&>().find_first_of(" \n") != std::string::npos) {
      return false;
    }
  }
  return true;
}

// The documents of one file's text.
template <class F>
void SplitDocuments(std::string_view text, DocumentSeparator separator, F&& fn) {
  if (separator == DocumentSeparator::kNone || separator == DocumentSeparator::kFile) {
    if (!text.empty()) fn(text);
    return;
  }
  size_t document = 0, end = 0;  // of the document that the lines so far make up
  bool open = false;
  for (size_t line = 0; line < text.size();) {
    const size_t newline = std::min(text.find('\n', line), text.size());
    const bool empty = newline == line || (newline == line + 1 && text[line] == '\r');
    if (!empty) {
      if (!open) document = line;
      open = true;
      end = newline > line && text[newline - 1] == '\r' ? newline - 1 : newline;
    }
    if (open && (empty || separator == DocumentSeparator::kLine)) {
      fn(text.substr(document, end - document));
      open = false;
    }
    line = newline + 1;
  }
  if (open) fn(text.substr(document, end - document));
}

Json DescribeSources(const std::vector<fs::path>& files) {
  Json sources = Json::array();
  for (const fs::path& file : files) {
    std::error_code error;
    const auto bytes = fs::file_size(file, error);
    if (error) Fail("{}: {}", file.string(), error.message());
    const auto time = fs::last_write_time(file, error);
    if (error) Fail("{}: {}", file.string(), error.message());
    sources.push_back({{"path", fs::absolute(file).lexically_normal().string()},
                       {"bytes", bytes},
                       {"changed_ns", std::chrono::nanoseconds(time.time_since_epoch()).count()}});
  }
  return sources;
}

// What a token file of these was made from.
Json DescribeTokens(const std::vector<fs::path>& files, const Tokenizer& tokenizer, const TokeniseOptions& options) {
  const bool lines =
      options.separator == DocumentSeparator::kLine || options.separator == DocumentSeparator::kBlankLine;
  if (lines && !tokenizer.eos_id()) {
    Fail("document-separator is \"{}\", which needs a tokenizer with an end-of-text token; expected none or file",
         DocumentSeparatorName(options.separator));
  }
  const std::string json = tokenizer.ToJson();
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(json)));
  return {{"tokenizer", hash.Hex()},
          {"sources", DescribeSources(files)},
          {"separator", DocumentSeparatorName(options.separator)},
          {"parse_special", options.parse_special}};
}

std::shared_ptr<const TokenFile> FindTokens(const Json& about, const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return nullptr;
  try {
    auto file = std::make_shared<const TokenFile>(path);
    Json same = file->about();
    same.erase("sha256");
    same.erase("id_bytes");
    if (same == about) return file;
  } catch (const Error&) {  // a damaged file is made again
  }
  return nullptr;
}

// Writes ids and keeps their hash.
class TokenWriter {
 public:
  TokenWriter(const fs::path& path, int width) : file_(path), width_(width) { file_.Write(kMagic); }

  void Append(std::span<const int32_t> ids) {
    packed_.resize(ids.size() * static_cast<size_t>(width_));
    for (size_t i = 0; i < ids.size(); ++i) {
      std::memcpy(&packed_[i * static_cast<size_t>(width_)], &ids[i], static_cast<size_t>(width_));
    }
    file_.Write(packed_);
    hash_.Update(packed_);
  }

  void Finish(Json about) {
    about["sha256"] = hash_.Hex();
    about["id_bytes"] = width_;
    const std::string json = about.dump();
    const uint64_t length = json.size();
    file_.Write(json);
    file_.Write(std::as_bytes(std::span(&length, 1)));
    file_.Write(kMagic);
    file_.Commit();
  }

 private:
  AtomicFile file_;
  Sha256 hash_;
  int width_;
  std::vector<std::byte> packed_;
};

// Encodes one document in pieces; returns its last id, or -1.
class DocumentEncoder {
 public:
  DocumentEncoder(const Tokenizer& tokenizer, const TokeniseOptions& options, bool may_cut, TokenWriter& out)
      : tokenizer_(tokenizer), options_(options), may_cut_(may_cut), out_(out) {}

  void Encode(std::string_view document, const fs::path& file, size_t offset, const MappedFile& mapped) {
    last_ = -1;
    const size_t whole = document.size();
    while (!document.empty()) {
      const size_t cut = may_cut_ ? SafeCut(document, options_.chunk_bytes) : document.size();
      const size_t at = offset + whole - document.size();
      EncodePiece(document.substr(0, cut), file, at);
      mapped.Drop(at, cut);
      document.remove_prefix(cut);
    }
    const auto eos = tokenizer_.eos_id();
    if (options_.separator != DocumentSeparator::kNone && eos && last_ != *eos) {
      pending_.push_back(*eos);
      Flush(false);
    }
  }

  void Flush(bool all) {
    if (!all && pending_.size() < (1 << 16)) return;
    out_.Append(pending_);
    pending_.clear();
  }

 private:
  void EncodePiece(std::string_view text, const fs::path& file, size_t offset) {
    try {
      const std::vector<int32_t> ids = tokenizer_.Encode(text, {.parse_special = options_.parse_special});
      for (const int32_t id : ids) {
        if (id < 0 || id >= tokenizer_.vocab_size()) {
          Fail("gives the token {}, expected one in [0, {})", id, tokenizer_.vocab_size());
        }
      }
      if (!ids.empty()) last_ = ids.back();
      pending_.insert(pending_.end(), ids.begin(), ids.end());
      Flush(false);
    } catch (const Error& e) {
      Fail("{}: the text from byte {} on: {}", file.string(), offset, e.what());
    }
  }

  const Tokenizer& tokenizer_;
  const TokeniseOptions& options_;
  bool may_cut_;
  TokenWriter& out_;
  std::vector<int32_t> pending_;
  int32_t last_ = -1;
};

void RequireFileUtf8(std::string_view text, const fs::path& file) {
  const size_t bad = FindInvalidUtf8(text);
  if (bad == std::string_view::npos) {  // a file of numbers may look like UTF-8, but no text has a NUL
    const size_t nul = text.find('\0');
    if (nul == std::string_view::npos) return;
    Fail("{}: has a NUL at byte {}; training data must be text", file.string(), nul);
  }
  Fail("{}: is not valid UTF-8 at byte {} (0x{:02X}); training data must be UTF-8 text", file.string(), bad,
       static_cast<unsigned char>(text[bad]));
}

}  // namespace

std::string_view DocumentSeparatorName(DocumentSeparator separator) {
  return kSeparators[static_cast<size_t>(separator)];
}

DocumentSeparator ParseDocumentSeparator(std::string_view name) {
  for (size_t i = 0; i < kSeparators.size(); ++i) {
    if (kSeparators[i] == name) return static_cast<DocumentSeparator>(i);
  }
  Fail("document-separator is \"{}\", expected none, file, line or blank-line", name);
}

std::vector<fs::path> CollectFiles(const std::vector<fs::path>& inputs, const fs::path& skip) {
  const auto is_skipped = [&skip](const fs::path& folder) {
    std::error_code error;  // a `skip` that does not exist is nobody's equal
    return !skip.empty() && fs::equivalent(folder, skip, error);
  };
  std::vector<fs::path> out;
  for (const fs::path& input : inputs) {
    std::error_code error;
    if (!fs::exists(input, error)) Fail("{}: no such file or folder", input.string());
    if (!fs::is_directory(input, error)) {
      out.push_back(input);
      continue;
    }
    if (is_skipped(input)) {
      Fail("{}: is the run's own folder, whose files are no data; give the run another one", input.string());
    }
    std::vector<fs::path> found;
    fs::recursive_directory_iterator it(input, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      const bool hidden = it->path().filename().string().starts_with('.');
      const bool folder = it->is_directory(error);
      if (folder && (hidden || is_skipped(it->path()))) it.disable_recursion_pending();
      if (!hidden && it->is_regular_file(error)) found.push_back(it->path());
    }
    if (error) Fail("{}: cannot be listed: {}", input.string(), error.message());
    if (found.empty()) Fail("{}: is a folder without files, expected text files", input.string());
    std::ranges::sort(found);
    out.insert(out.end(), found.begin(), found.end());
  }
  if (out.empty()) Fail("data names no file, expected at least one");
  return out;
}

void ForEachDocument(const std::vector<fs::path>& files, DocumentSeparator separator,
                     const std::function<void(std::string_view)>& fn) {
  for (const fs::path& path : files) {
    const MappedFile file(path);
    RequireFileUtf8(AsText(file), path);
    SplitDocuments(AsText(file), separator, fn);
  }
}

size_t SafeCut(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text.size();
  for (size_t i = limit; i > 0; --i) {
    if (IsSafeCut(text, i)) return i;
  }
  for (size_t i = limit + 1; i < text.size(); ++i) {
    if (IsSafeCut(text, i)) return i;
  }
  return text.size();
}

TokenFile::TokenFile(const fs::path& path) : file_(path) {
  const std::string_view text = AsText(file_);
  const size_t frame = 2 * kMagic.size() + sizeof(uint64_t);
  if (text.size() < frame || !text.starts_with(kMagic) || !text.ends_with(kMagic)) {
    Fail("{}: is not a whole token file; delete it and it is made again", path.string());
  }
  uint64_t json_bytes = 0;
  std::memcpy(&json_bytes, text.data() + text.size() - kMagic.size() - sizeof json_bytes, sizeof json_bytes);
  if (json_bytes > text.size() - frame) {
    Fail("{}: says its description has {} bytes, the file has {}", path.string(), json_bytes, text.size());
  }
  const size_t id_bytes = text.size() - frame - json_bytes;
  about_ = ParseJson(text.substr(kMagic.size() + id_bytes, json_bytes), path.string());
  width_ = static_cast<int>(JsonObject(about_, path.string()).Int("id_bytes", 2, 4));
  if (width_ == 3 || id_bytes % static_cast<size_t>(width_) != 0) {
    Fail("{}: has {} bytes of ids, expected a multiple of id_bytes = {}, which is 2 or 4", path.string(), id_bytes,
         width_);
  }
  size_ = static_cast<int64_t>(id_bytes) / width_;
}

void TokenFile::Read(int64_t first, std::span<int32_t> out) const {
  KINETOK_CHECK(first >= 0 && first + static_cast<int64_t>(out.size()) <= size_);
  const std::byte* ids = file_.bytes().data() + kMagic.size() + first * width_;
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t id = 0;
    std::memcpy(&id, ids + i * static_cast<size_t>(width_), static_cast<size_t>(width_));
    out[i] = static_cast<int32_t>(id);
  }
}

std::shared_ptr<const TokenFile> FindTokens(const std::vector<fs::path>& files, const Tokenizer& tokenizer,
                                            const TokeniseOptions& options, const fs::path& path) {
  return FindTokens(DescribeTokens(files, tokenizer, options), path);
}

std::shared_ptr<const TokenFile> TokeniseFiles(const std::vector<fs::path>& files, const Tokenizer& tokenizer,
                                               const TokeniseOptions& options, const fs::path& out) {
  const Json about = DescribeTokens(files, tokenizer, options);
  if (auto old = FindTokens(about, out)) return old;

  int64_t total = 0, done = 0;
  for (const Json& source : about["sources"]) total += source["bytes"].get<int64_t>();
  {
    TokenWriter writer(out, tokenizer.vocab_size() <= 65536 ? 2 : 4);
    const bool may_cut = MayCut(ParseJson(tokenizer.ToJson(), "tokenizer"));
    DocumentEncoder encoder(tokenizer, options, may_cut, writer);
    for (const fs::path& path : files) {
      const MappedFile file(path);
      const std::string_view text = AsText(file);
      RequireFileUtf8(text, path);
      SplitDocuments(text, options.separator, [&](std::string_view document) {
        const auto offset = static_cast<size_t>(document.data() - text.data());
        encoder.Encode(document, path, offset, file);
        if (options.progress) options.progress(done + static_cast<int64_t>(offset + document.size()), total);
      });
      done += static_cast<int64_t>(text.size());
    }
    encoder.Flush(true);
    writer.Finish(about);
  }
  return std::make_shared<const TokenFile>(out);
}

void TokenRange::Read(int64_t offset, std::span<int32_t> out) const {
  KINETOK_CHECK(offset >= 0 && offset + static_cast<int64_t>(out.size()) <= size);
  file->Read(first + offset, out);
}

DataSplit SplitTokens(std::shared_ptr<const TokenFile> file, double fraction) {
  if (!(fraction >= 0 && fraction < 1)) Fail("val-fraction is {}, expected at least 0 and below 1", fraction);
  const int64_t n = file->size();
  const auto train = static_cast<int64_t>(static_cast<double>(n) * (1 - fraction));
  return {{file, 0, train}, {file, train, n - train}};
}

int64_t SampleOffset(uint64_t seed, uint64_t index, int64_t tokens, int64_t block) {
  KINETOK_CHECK(tokens > block && block > 0);
  return static_cast<int64_t>(
      UniformBelow(RandomBits(seed, RandomStream::kData, 0, index), static_cast<uint64_t>(tokens - block)));
}

}  // namespace kinetok
