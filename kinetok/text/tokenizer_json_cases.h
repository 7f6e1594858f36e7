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
  const Json lowercase = {{"type", "Lowercase"}};
  return {
      {"/model/type", "Unigram", {"\"Unigram\"", "model"}},
      {"/model/type", 3, {"\"type\"", "3"}},
      {"/model/dropout", 0.1, {"\"dropout\" is 0.1"}},
      {"/model/continuing_subword_prefix", "##", {"\"continuing_subword_prefix\" is \"##\""}},
      {"/model/end_of_word_suffix", "</w>", {"\"end_of_word_suffix\""}},
      {"/model/byte_fallback", true, {"\"byte_fallback\" is true"}},
      {"/model/novelty", 1, {"\"novelty\""}},
      {"/novelty", 1, {"\"novelty\""}},
      {"/normalizer", lowercase, {"normalizer", "\"Lowercase\""}},
      {"/pre_tokenizer", {{"type", "Whitespace"}}, {"pre_tokenizer", "\"Whitespace\""}},
      {"/pre_tokenizer", nullptr, {"pre_tokenizer"}},
      {"/pre_tokenizer/add_prefix_space", "yes", {"\"add_prefix_space\" is \"yes\""}},
      {"/pre_tokenizer/trim_offsets", 2, {"\"trim_offsets\""}},
      {"/decoder", {{"type", "WordPiece"}}, {"decoder", "\"WordPiece\""}},
      {"/decoder", nullptr, {"\"decoder\""}},
      {"/post_processor", {{"type", "BertProcessing"}}, {"post_processor", "\"BertProcessing\""}},
      {"/added_tokens/0/single_word", true, {"\"single_word\" is true"}},
  };
}

inline std::vector<Fault> UnsupportedChar() {
  const Json lowercase = {{"type", "Lowercase"}};
  return {
      {"/pre_tokenizer/pattern/Regex", "\\w+", {"\"Regex\" is \"\\w+\""}},
      {"/pre_tokenizer/behavior", "Removed", {"\"behavior\" is \"Removed\""}},
      {"/pre_tokenizer/invert", true, {"\"invert\" is true"}},
      {"/pre_tokenizer", lowercase, {"pre_tokenizer", "\"Lowercase\""}},
      {"/decoder", nullptr, {"\"decoder\""}},
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
