// Any bytes are a GGUF file or an Error. Of a file that is accepted every tensor can be touched and every field shown;
// its configuration and its tokenizer are read or an Error, and the tokenizer gives the same ids after it was written
// and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <string>

#include "kinetok/base/error.h"
#include "kinetok/model/gguf_model.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

volatile unsigned char sink;

void RequireSource(const kinetok::Error& e) {
  Require(std::string_view(e.what()).starts_with("fuzz"));
}

std::vector<int32_t> EncodeOrNothing(const kinetok::Tokenizer& tokenizer) {
  try {
    return tokenizer.Encode("abc 오늘 날씨가 <|endoftext|></s>[SEP]\n\n  😀 12's", {.special = true});
  } catch (const kinetok::Error&) {  // a character that the vocabulary lacks
    return {};
  }
}

void ReadConfig(const kinetok::GgufHeader& header) {
  const kinetok::ModelConfig config = kinetok::ReadGgufConfig(header.metadata, header.tensors);
  if (config.num_hidden_layers > 64) return;
  const kinetok::ParameterList list(config);
  Require(!kinetok::GgufTensors(config, list).empty());
}

void ReadTokenizer(const kinetok::GgufHeader& header) {
  const auto tokenizer = kinetok::ReadGgufTokenizer(header.metadata);
  const std::vector<int32_t> ids = EncodeOrNothing(*tokenizer);
  (void)tokenizer->Decode(ids);
  kinetok::ModelConfig config;
  config.vocab_size = tokenizer->vocab_size() + 3;
  kinetok::GgufFields fields;
  try {
    fields = kinetok::GgufTokenizerFields(tokenizer.get(), config, "fuzz");
  } catch (const kinetok::Error& e) {
    return RequireSource(e);
  }
  fields.emplace_back("general.architecture", header.metadata.String("general.architecture", ""));
  const std::string bytes = kinetok::GgufHeaderBytes({}, fields);
  const auto copy =
      kinetok::ParseGgufHeader(std::as_bytes(std::span(bytes.data(), bytes.size())), bytes.size(), "copy");
  const auto again = kinetok::ReadGgufTokenizer(copy.metadata);
  Require(again->vocab_size() == tokenizer->vocab_size());
  Require(EncodeOrNothing(*again) == ids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  kinetok::GgufHeader header;
  try {
    header = kinetok::ParseGgufHeader(file, size, "fuzz");
  } catch (const kinetok::Error& e) {
    RequireSource(e);
    return 0;
  }
  auto end = static_cast<size_t>(header.data_offset);
  std::set<std::string> names;
  for (const kinetok::TensorInfo& t : header.tensors) {
    const auto begin = static_cast<size_t>(t.offset), bytes = static_cast<size_t>(t.bytes);
    Require(names.insert(t.name).second && begin >= end && begin % static_cast<size_t>(header.alignment) == 0);
    if (t.type) Require(t.bytes == t.elements() * kinetok::DTypeSize(*t.type));
    for (const std::byte b : file.subspan(begin, bytes)) sink = std::to_integer<uint8_t>(b);
    end = begin + bytes;
  }
  Require(header.tensors.empty() || end <= size);
  (void)header.metadata.ToJson(8).dump();  // throws on a string that is not UTF-8
  for (const auto read : {ReadConfig, ReadTokenizer}) {
    try {
      read(header);
    } catch (const kinetok::Error& e) {
      RequireSource(e);
    }
  }
  return 0;
}
