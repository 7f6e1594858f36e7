// tokenizer.json files for the tests and the fuzzer's seeds: valid ones, and what makes them unsupported or broken,
// with what the error says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {

inline Json ValidBpe() {
  BytesBpeTrainer trainer({.vocab_size = 262});
  trainer.Add("ab ab abc abc");
  return Json::parse(trainer.Train()->ToJson());
}

// BERT's kind, and Llama 2's as Hugging Face converts it.
inline Json ValidWordPiece() {
  return Json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
      "added_tokens": [{"id": 1, "content": "[CLS]", "special": true}, {"id": 2, "content": "[SEP]", "special": true}],
      "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                     "lowercase": true},
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
      "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "ab": 3, "##c": 4, "!": 5, "오늘": 6, "cafe": 7}}})");
}

inline Json ValidLlama() {
  Json json = Json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
      "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}],
      "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
          {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
      "pre_tokenizer": null,
      "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
          {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
          "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
      "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
          {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
      "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": {"<unk>": 0, "<s>": 1, "▁a": 258, "ab": 259, "▁ab": 260, "▁": 261, "a": 262, "b": 263},
                "merges": ["▁ a", "a b", "▁a b"]}})");
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    json["model"]["vocab"][std::string("<0x") + kDigits[b / 16] + kDigits[b % 16] + ">"] = b + 2;
  }
  return json;
}

inline Json ValidChar() {
  CharTrainer trainer;
  trainer.Add("abc");
  return Json::parse(trainer.Train()->ToJson());
}

struct Fault {
  std::string pointer;  // what is replaced ...
  Json value;           // ... by this
  std::vector<std::string> message;
};

inline std::vector<Fault> UnsupportedBpe() {
  const auto regex = [](const char* type) {
    return Json{{"type", type}, {"pattern", {{"Regex", "\\s"}}}, {"content", ""}, {"behavior", "Isolated"}};
  };
  const auto sequence = [](const char* key, const Json& step) { return Json{{"type", "Sequence"}, {key, {step}}}; };
  return {
      {"/model/type", "Unigram", {"\"Unigram\"", "model"}},
      {"/model/type", 3, {"\"type\"", "3"}},
      {"/model/dropout", 0.1, {"\"dropout\" is 0.1"}},
      {"/model/continuing_subword_prefix", "##", {"\"continuing_subword_prefix\" is \"##\""}},
      {"/model/end_of_word_suffix", "</w>", {"\"end_of_word_suffix\""}},
      {"/model/byte_fallback", true, {"\"byte_fallback\" is true"}},
      {"/model/novelty", 1, {"\"novelty\""}},
      {"/novelty", 1, {"\"novelty\""}},
      {"/normalizer", {{"type", "Precompiled"}}, {"normalizer", "\"Precompiled\""}},
      {"/normalizer", {{"type", "Lowercase"}, {"locale", "tr"}}, {"normalizer", "\"locale\""}},
      {"/normalizer", sequence("normalizers", {{"type", "Nmt"}}), {"normalizer: normalizers", "\"Nmt\""}},
      {"/normalizer", regex("Replace"), {"normalizer", "\"behavior\""}},
      {"/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", ""}}, {"expression \"a+\""}},
      {"/normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", ""}}, {"\"String\" is empty"}},
      {"/normalizer", {{"type", "Strip"}}, {"\"strip_left\" is missing"}},
      {"/pre_tokenizer", {{"type", "UnicodeScripts"}}, {"pre_tokenizer", "\"UnicodeScripts\""}},
      {"/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "\\w+"}}}}, {"\"Regex\" is \"\\w+\""}},
      {"/pre_tokenizer",
       {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Kept"}},
       {"\"behavior\" is \"Kept\""}},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "ab"}},
       {"\"replacement\" is \"ab\", expected one character"}},
      {"/pre_tokenizer",
       {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}},
       {"\"prepend_scheme\" is \"last\""}},
      {"/pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "Digits"}}}}},
       {"\"Digits\" after ByteLevel"}},
      {"/pre_tokenizer/add_prefix_space", "yes", {"\"add_prefix_space\" is \"yes\""}},
      {"/pre_tokenizer/trim_offsets", 2, {"\"trim_offsets\""}},
      {"/decoder", {{"type", "CTC"}}, {"decoder", "\"CTC\""}},
      {"/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}, {"\"start\" is -1"}},
      {"/decoder",
       {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "WordPiece"}}}}},
       {"\"WordPiece\" after Fuse"}},
      {"/post_processor", {{"type", "BertProcessing"}}, {"post_processor", "\"cls\" is missing"}},
      {"/post_processor",
       {{"type", "BertProcessing"}, {"cls", {"[CLS]", 5000}}, {"sep", {"[SEP]", 1}}},
       {"\"cls\" holds 5000"}},
      {"/post_processor", {{"type", "BertProcessing"}, {"cls", "x"}, {"sep", {"[SEP]", 1}}}, {"\"cls\" is \"x\""}},
      {"/post_processor", {{"type", "Novel"}}, {"post_processor", "\"Novel\""}},
  };
}

inline std::vector<Fault> UnsupportedChar() {
  const Json lowercase = {{"type", "Lowercase"}};
  return {
      {"/pre_tokenizer/pattern/Regex", "\\w+", {"\"Regex\" is \"\\w+\""}},
      {"/pre_tokenizer/behavior", "Removed", {"\"behavior\" is \"Removed\""}},
      {"/pre_tokenizer/invert", true, {"\"invert\" is true"}},
      {"/pre_tokenizer", lowercase, {"pre_tokenizer", "\"Lowercase\""}},
      {"/model/unk_token", nullptr, {"\"unk_token\""}},
  };
}

inline std::vector<Fault> BrokenBpe() {
  return {
      {"/model", nullptr, {"\"model\""}},
      {"/model/vocab", Json::array(), {"\"vocab\" is []", "an object"}},
      {"/model/vocab", nullptr, {"\"vocab\" is null"}},
      {"/model/vocab/zz", -1, {"\"zz\" has id -1"}},
      {"/model/vocab/zz", "7", {"\"zz\" has id \"7\""}},
      {"/model/vocab/zz", 1.5, {"\"zz\" has id 1.5"}},
      {"/model/vocab/zz", 5, {"the same id 5"}},
      {"/model/vocab/zz", 70000, {"id 70000", "may be unused"}},
      {"/model/vocab/zz", uint64_t{18446744073709551615u}, {"id 18446744073709551615"}},
      {"/model/merges", "a b", {"\"merges\" is \"a b\"", "an array"}},
      {"/model/merges/0", "ab", {"merges", "entry 0 is \"ab\""}},
      {"/model/merges/0", "a b c", {"entry 0"}},
      {"/model/merges/0", {"a", 3}, {"entry 0 is [\"a\",3]"}},
      {"/model/merges/0", {"a", "b", "c"}, {"entry 0"}},
      {"/model/merges/0", {"a", "zz"}, {"merge 0", "the piece \"zz\""}},
      {"/model/merges/0", "q q", {"merge 0", "the piece \"qq\""}},
      {"/added_tokens", 1, {"\"added_tokens\" is 1"}},
      {"/added_tokens/0", 1, {"added_tokens: entry 0"}},
      {"/added_tokens/0/id", 1, {"\"<|endoftext|>\" has id 1", "0"}},
      {"/added_tokens/0/id", -1, {"\"id\" is -1"}},
      {"/added_tokens/0/content", nullptr, {"\"content\" is null"}},
      {"/added_tokens/0/content", "", {"has the id 0 of the piece"}},
      {"/added_tokens/0/special", 1, {"\"special\" is 1"}},
      {"/added_tokens/1", {{"id", 262}, {"content", ""}}, {"empty"}},
      {"/added_tokens/1", {{"id", 3}, {"content", "<new>"}}, {"\"<new>\" has the id 3 of the piece"}},
      {"/added_tokens/1", {{"id", 0}, {"content", "<|endoftext|>"}}, {"appears twice"}},
      {"/added_tokens/1", {{"id", 16000000}, {"content", "<new>"}}, {"id 16000000", "may be unused"}},
      {"/added_tokens/1", {{"id", 17000000}, {"content", "<new>"}}, {"\"id\" is 17000000"}},
  };
}

}  // namespace kinetok
