// Compared with what Hugging Face's `tokenizers` gave (tools/golden/tokenizer_parts.py), and with the published
// vectors.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <iterator>
#include <sstream>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/sha256.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/tokenizer_builder.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

const std::filesystem::path kShared = KINETOK_SHARED_DATA;

const Json& Golden() {
  static const Json golden = ParseJson(
      ReadFile(std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden/tokenizers.json"), "tokenizers.json");
  return golden;
}

// The text with samples of all of Unicode that the script draws.
const std::string& Sample() {
  static const std::string sample = [] {
    std::string text;
    for (char32_t c = 3; c < 0x110000; c += 11) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      AppendUtf8(c, text);
      text += "a ";
    }
    return text;
  }();
  return sample;
}

std::string Digest(const std::vector<int32_t>& ids) {
  Sha256 hash;
  const std::string text = fmt::format("{}", fmt::join(ids, " "));
  hash.Update(std::as_bytes(std::span(text)));
  return hash.Hex();
}

Json ByteModel() {
  Json vocabulary;
  for (int b = 0; b < 256; ++b) vocabulary[fmt::format("<0x{:02X}>", b)] = b;
  return {{"type", "BPE"},
          {"end_of_word_suffix", "|"},
          {"byte_fallback", true},
          {"vocab", vocabulary},
          {"merges", Json::array()}};
}

std::string Streamed(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  StreamDecoder stream(tokenizer);
  std::string text;
  for (const int32_t id : ids) text += stream.Push(id);
  return text + stream.Finish();
}

TEST(TokenizerGoldenTest, NormalizersAndPreTokenizersDoWhatHuggingFacesDo) {
  ASSERT_GT(Golden()["encoded"].size(), 30u);
  for (const Json& c : Golden()["encoded"]) {
    Json json = {{"model", ByteModel()}};
    for (const char* part : {"normalizer", "pre_tokenizer"}) {
      if (c.contains(part)) json[part] = c[part];
    }
    if (c.contains("added")) json["added_tokens"] = c["added"];
    const std::string name =
        Json({c.value("normalizer", Json()), c.value("pre_tokenizer", Json()), c.value("added", Json())}).dump();
    const auto tokenizer = Tokenizer::FromJson(json.dump(), "golden");
    const auto copy = Tokenizer::FromJson(tokenizer->ToJson(), "copy");
    for (size_t i = 0; i < c["ids"].size(); ++i) {
      const auto text = Golden()["texts"][i].get<std::string>();
      EXPECT_EQ(tokenizer->Encode(text), c["ids"][i].get<std::vector<int32_t>>()) << name << " " << Json(text);
      EXPECT_EQ(copy->Encode(text), tokenizer->Encode(text)) << name << " " << Json(text);
    }
    if (c.contains("sample")) {
      EXPECT_EQ(Digest(tokenizer->Encode(Sample())), c["sample"]) << name;
    }
  }
}

TEST(TokenizerGoldenTest, DecodersDoWhatHuggingFacesDo) {
  Json vocabulary;
  for (const Json& piece : Golden()["pieces"]) vocabulary[piece.get<std::string>()] = vocabulary.size();
  ASSERT_GT(Golden()["decoded"].size(), 8u);
  for (const Json& c : Golden()["decoded"]) {
    const Json json = {{"decoder", c["decoder"]},
                       {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}};
    const auto tokenizer = Tokenizer::FromJson(json.dump(), "golden");
    for (size_t i = 0; i < c["texts"].size(); ++i) {
      const auto ids = Golden()["decoded_ids"][i].get<std::vector<int32_t>>();
      const auto text = c["texts"][i].get<std::string>();
      EXPECT_EQ(ReplaceInvalidUtf8(tokenizer->Decode(ids)), text) << c["decoder"] << testing::PrintToString(ids);
      if (text.find("\xEF\xBF\xBD") == std::string::npos) {
        EXPECT_EQ(Streamed(*tokenizer, ids), text) << c["decoder"];
      }
    }
  }
}

TEST(TokenizerGoldenTest, PublishedVocabulariesGiveTheSameIdsAndTexts) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no reference data";
  ASSERT_EQ(Golden()["published"].size(), 4u);
  for (const Json& c : Golden()["published"]) {
    const auto tokenizer = Tokenizer::Load(kShared / c["path"].get<std::string>());
    const auto copy = Tokenizer::FromJson(tokenizer->ToJson(), "copy");
    for (size_t i = 0; i < c["ids"].size(); ++i) {
      const auto text = Golden()["texts"][i].get<std::string>();
      const auto ids = c["ids"][i].get<std::vector<int32_t>>();
      EXPECT_EQ(tokenizer->Encode(text), ids) << c["path"] << " " << Json(text);
      EXPECT_EQ(copy->Encode(text), ids) << c["path"] << " " << Json(text);
      EXPECT_EQ(tokenizer->Decode(ids), c["texts"][i]) << c["path"];
      EXPECT_EQ(Streamed(*tokenizer, ids), c["texts"][i]) << c["path"];
    }
    EXPECT_EQ(Digest(tokenizer->Encode(Sample())), c["sample"]) << c["path"];
  }
}

// The 46 texts of ggml-org/llama.cpp; a special token in front is the dialect of some of them, not of these.
void ExpectPublishedVectors(const Tokenizer& tokenizer, const std::string& folder, bool decodes) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = ReadFile(kShared / folder / "cases.inp");
  std::istringstream lines(ReadFile(kShared / folder / "cases.out"));
  int cases = 0;
  std::string line;
  for (size_t begin = 0; begin < texts.size() && std::getline(lines, line); ++cases) {
    const size_t end = std::min(texts.find(separator, begin), texts.size());
    const std::string text = texts.substr(begin, end - begin);
    std::istringstream numbers(line);
    const std::vector<int32_t> expected{std::istream_iterator<int32_t>(numbers), {}};
    EXPECT_EQ(tokenizer.Encode(text), expected) << folder << " " << testing::PrintToString(text);
    if (decodes) {
      EXPECT_EQ(tokenizer.Decode(expected), text) << folder;
    }
    begin = end + separator.size();
  }
  EXPECT_EQ(cases, 46);
}

TEST(TokenizerGoldenTest, AllPublishedVectorsMatch) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no reference data";
  ExpectPublishedVectors(*Tokenizer::Load(kShared / "gpt2"), "gpt2", true);
  ExpectPublishedVectors(*Tokenizer::Load(kShared / "llama2"), "llama2", true);
  ExpectPublishedVectors(*Tokenizer::Load(kShared / "llama2/openvla_tokenizer.json"), "llama2", true);
  ExpectPublishedVectors(*Tokenizer::Load(kShared / "bert"), "bert", false);
}

TEST(TokenizerGoldenTest, TheTwoFormsOfLlamasVocabularyAreOne) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no reference data";
  const auto model = Tokenizer::Load(kShared / "llama2/tokenizer.model");
  const auto json = Tokenizer::Load(kShared / "llama2/openvla_tokenizer.json");
  EXPECT_EQ(model->Encode("Hello world", {.special = true}), (std::vector{1, 15043, 3186}));
  EXPECT_EQ(model->Encode(" Hello world"), (std::vector{29871, 15043, 3186}));
  EXPECT_EQ(json->Encode("Hello world", {.special = true}), (std::vector{1, 15043, 3186}));
  EXPECT_EQ(model->vocab_size(), 32000);
  EXPECT_EQ(json->vocab_size(), 32001);
  EXPECT_EQ(json->pad_id(), std::optional(32000));
  for (const auto& tokenizer : {model, json}) {
    EXPECT_EQ(tokenizer->unk_id(), std::optional(0));
    EXPECT_EQ(tokenizer->bos_id(), std::optional(1));
    EXPECT_EQ(tokenizer->eos_id(), std::optional(2));
    EXPECT_EQ(tokenizer->TokenBytes(3186), " world");
    EXPECT_EQ(tokenizer->TokenBytes(3 + 0xEC), "\xEC");
  }
  for (const std::string& text : {std::string("a<s>b</s> c <unk>"), Sample(), std::string(200, ' ')}) {
    EXPECT_EQ(model->Encode(text), json->Encode(text));
    EXPECT_EQ(model->Decode(model->Encode(text)), json->Decode(model->Encode(text)));
  }
  // What one writes for a GGUF file, the other one can write too.
  const auto native = SentencePieceVocabularyOf(*model), converted = SentencePieceVocabularyOf(*json);
  ASSERT_TRUE(native && converted);
  EXPECT_EQ(native->pieces.size(), 32000u);
  ASSERT_EQ(converted->pieces.size(), 32001u);
  for (size_t id = 0; id < native->pieces.size(); ++id) {
    ASSERT_EQ(native->pieces[id].text, converted->pieces[id].text);
    ASSERT_EQ(native->pieces[id].type, converted->pieces[id].type) << native->pieces[id].text;
  }
  const auto rebuilt = MakeSentencePieceTokenizer(*converted, "rebuilt");
  EXPECT_EQ(rebuilt->Encode(Sample()), json->Encode(Sample()));
  EXPECT_EQ(rebuilt->Encode("a <s> b", {.special = true}), json->Encode("a <s> b", {.special = true}));
}

}  // namespace
}  // namespace kinetok
