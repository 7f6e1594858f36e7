#include "kinetok/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/text/tokenizer_parts.h"
#include "kinetok/text/utf8.h"

namespace kinetok {

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::Encode(std::string_view utf8, const EncodeOptions& options) const {
  RequireUtf8(utf8, "the text");
  std::vector<int32_t> ids;
  if (options.special) ids = parts_->before;
  parts_->Encode(utf8, options.parse_special, ids);
  if (options.special) ids.insert(ids.end(), parts_->after.begin(), parts_->after.end());
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string bytes;
  DecodingRun run(parts_->decoder, DecodeMode::kWhole);
  for (const int32_t id : ids) {
    if (!options.skip_special || !IsSpecial(id)) run.Push(Piece(id), bytes);
  }
  run.Finish(bytes);
  return bytes;
}

int32_t Tokenizer::vocab_size() const {
  int32_t size = parts_->model->vocabulary().size();
  for (const AddedToken& token : parts_->added.tokens()) size = std::max(size, token.id + 1);
  return size;
}

bool Tokenizer::Has(int32_t id) const {
  return parts_->model->vocabulary().Has(id) || parts_->added.Find(id) != nullptr;
}

std::string_view Tokenizer::Piece(int32_t id) const {
  if (const AddedToken* added = parts_->added.Find(id)) return added->content;
  if (parts_->model->vocabulary().Has(id)) return parts_->model->vocabulary().Piece(id);
  Fail("id {} is not in the tokenizer's vocabulary (its ids end at {})", id, vocab_size() - 1);
}

std::string Tokenizer::TokenBytes(int32_t id) const {
  std::string bytes;
  DecodingRun run(parts_->decoder, DecodeMode::kBytes);
  run.PastTheStart();
  run.Push(Piece(id), bytes);
  run.Finish(bytes, false);
  return bytes;
}

std::optional<int32_t> Tokenizer::TokenId(std::string_view piece) const {
  return FindToken(*parts_, piece);
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const AddedToken* added = parts_->added.Find(id);
  return added != nullptr && added->special;
}

std::optional<int32_t> Tokenizer::bos_id() const {
  return parts_->special.bos;
}
std::optional<int32_t> Tokenizer::eos_id() const {
  return parts_->special.eos;
}
std::optional<int32_t> Tokenizer::unk_id() const {
  return parts_->special.unk;
}
std::optional<int32_t> Tokenizer::pad_id() const {
  return parts_->special.pad;
}
std::optional<int32_t> Tokenizer::cls_id() const {
  return parts_->special.cls;
}
std::optional<int32_t> Tokenizer::sep_id() const {
  return parts_->special.sep;
}
std::optional<int32_t> Tokenizer::mask_id() const {
  return parts_->special.mask;
}

std::string Tokenizer::ToJson() const {
  return DescribeTokenizer(*parts_).dump(2) + "\n";
}

void Tokenizer::Save(const std::filesystem::path& directory) const {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) Fail("{}: cannot create the folder: {}", directory.string(), error.message());
  OrderedJson config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  const SpecialIds& ids = parts_->special;
  for (const auto& [key, id] : {std::pair("bos_token", ids.bos),
                                {"eos_token", ids.eos},
                                {"unk_token", ids.unk},
                                {"cls_token", ids.cls},
                                {"sep_token", ids.sep},
                                {"pad_token", ids.pad},
                                {"mask_token", ids.mask}}) {
    if (id) config[key] = Piece(*id);
  }
  WriteFileAtomically(directory / "tokenizer.json", ToJson());
  WriteFileAtomically(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(&tokenizer),
      options_(options),
      run_(std::make_unique<DecodingRun>(tokenizer.parts().decoder, DecodeMode::kStream)) {}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(const StreamDecoder& other)
    : tokenizer_(other.tokenizer_),
      options_(other.options_),
      run_(std::make_unique<DecodingRun>(*other.run_)),
      held_(other.held_) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::Push(int32_t id) {
  if (options_.skip_special && tokenizer_->IsSpecial(id)) return {};
  run_->Push(tokenizer_->Piece(id), held_);
  const size_t complete = CompleteUtf8(held_);
  std::string out = ReplaceInvalidUtf8(std::string_view(held_).substr(0, complete));
  held_.erase(0, complete);
  return out;
}

std::string StreamDecoder::Finish() {
  run_->Finish(held_);
  return ReplaceInvalidUtf8(std::exchange(held_, {}));
}

}  // namespace kinetok
