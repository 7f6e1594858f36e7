// fuzz_seeds DIR: writes the first inputs of every fuzzer into DIR/<fuzzer>.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "kinetok/base/file.h"
#include "kinetok/io/gguf_cases.h"
#include "kinetok/io/image_cases.h"
#include "kinetok/io/safetensors_cases.h"
#include "kinetok/model/config.h"
#include "kinetok/model/config_cases.h"
#include "kinetok/model/gguf_model.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/presets.h"
#include "kinetok/serve/act_request_cases.h"
#include "kinetok/text/sentencepiece_cases.h"
#include "kinetok/text/tokenizer_builder.h"
#include "kinetok/text/tokenizer_json_cases.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/vla/image_config_cases.h"

namespace {

namespace fs = std::filesystem;

void WriteSafetensorsSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  for (const auto& c : kinetok::SafetensorsCases()) kinetok::WriteFileAtomically(dir / c.name, c.bytes);
}

// The tests' files, and whole small models with every kind of tokenizer.
void WriteGgufSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  for (const auto& c : kinetok::GgufCases()) kinetok::WriteFileAtomically(dir / c.name, c.bytes);
  kinetok::BytesBpeTrainer trainer({.vocab_size = 262});
  trainer.Add("ab ab abc abc");
  const kinetok::SentencePieceVocabulary pieces = {.pieces = {{"<unk>", 0, kinetok::PieceType::kUnknown},
                                                              {"<s>", 0, kinetok::PieceType::kControl},
                                                              {"</s>", 0, kinetok::PieceType::kControl},
                                                              {"<0x0A>", 0, kinetok::PieceType::kByte},
                                                              {"▁ab", -1},
                                                              {"▁a", -2},
                                                              {"▁", -3},
                                                              {"a", -4},
                                                              {"b", -5}},
                                                   .ids = {.bos = 1, .eos = 2, .unk = 0}};
  kinetok::WordPieceVocabulary words;
  words.pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ab", "##c", "##b", "a"};
  const std::pair<const char*, std::shared_ptr<const kinetok::Tokenizer>> tokenizers[] = {
      {"none", nullptr},
      {"bytes", trainer.Train()},
      {"pieces", kinetok::MakeSentencePieceTokenizer(pieces, "seed")},
      {"words", kinetok::MakeWordPieceTokenizer(words, "seed")}};
  for (const char* preset : {"tiny", "tiny-llama"}) {
    for (const auto& [name, tokenizer] : tokenizers) {
      kinetok::ModelConfig config = kinetok::Preset(preset);
      config.vocab_size = 265;
      config.hidden_size = config.intermediate_size = 8;
      config.num_attention_heads = config.num_key_value_heads = 2;
      config.head_dim = 4;
      config.num_hidden_layers = 1;
      config.max_position_embeddings = 8;
      kinetok::GgufFields fields = kinetok::GgufConfigFields(config, kinetok::DType::kF16, "seed");
      for (auto& field : kinetok::GgufTokenizerFields(tokenizer.get(), config, "seed")) fields.push_back(field);
      std::vector<kinetok::TensorSpec> specs;
      for (const auto& t : kinetok::GgufTensors(config, kinetok::ParameterList(config))) {
        specs.push_back({t.name, kinetok::DType::kF16, t.shape});
      }
      std::string bytes = kinetok::GgufHeaderBytes(specs, fields);
      bytes.resize(bytes.size() + static_cast<size_t>(kinetok::PlaceTensors(specs, 32).back()));
      kinetok::WriteFileAtomically(dir / (std::string("model_") + preset + "_" + name), bytes);
    }
  }
}

// The tests' cases, the small pictures of every kind among the golden files, and configurations with each fault.
void WriteImageSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  for (const auto& c : kinetok::ImageCases()) kinetok::WriteFileAtomically(dir / c.name, c.bytes);
  for (const auto& entry : fs::directory_iterator(fs::path(KINETOK_SOURCE_DIR) / "tests/golden/images")) {
    if (entry.file_size() > 5000) continue;
    kinetok::WriteFileAtomically(dir / entry.path().filename(), kinetok::ReadFile(entry.path()));
  }
  const kinetok::Json config = kinetok::OpenVlaPreprocessorConfig();
  kinetok::WriteFileAtomically(dir / "config", config.dump());
  int number = 0;
  for (const auto& c : kinetok::FaultyImageConfigs()) {
    kinetok::Json faulty = config;
    faulty[kinetok::Json::json_pointer(c.pointer)] = c.value;
    kinetok::WriteFileAtomically(dir / ("config_" + std::to_string(number++)), faulty.dump());
  }
}

// Every preset as it is written, cut short, and with each of its values replaced by what does not belong there.
void WriteConfigSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  for (const std::string& preset : kinetok::PresetNames()) {
    const kinetok::OrderedJson json = kinetok::ModelConfigToJson(kinetok::Preset(preset), "float32");
    const std::string text = json.dump(1);
    kinetok::WriteFileAtomically(dir / preset, text);
    kinetok::WriteFileAtomically(dir / (preset + "_cut"), text.substr(0, text.size() / 2));
  }
  for (const char* preset : {"tiny", "llama-1.1b", "tiny-gpt1", "tiny-gpt-neo", "tiny-bert"}) {
    const kinetok::OrderedJson json = kinetok::ModelConfigToJson(kinetok::Preset(preset), "float32");
    for (const auto& field : json.items()) {
      kinetok::OrderedJson lying = json;
      for (const char* value : {"-1", "0", "1e308", "9223372036854775807", "null", "\"x\"", "[]", "{}", "true"}) {
        lying[field.key()] = kinetok::OrderedJson::parse(value);
        std::string name = std::string(preset) + "_" + field.key() + "_" + value;
        for (char& c : name) {
          if (c == '"') c = 'q';
        }
        kinetok::WriteFileAtomically(dir / name, lying.dump());
      }
    }
  }
  int number = 0;
  for (const auto& c : kinetok::FaultyConfigs()) {
    kinetok::WriteFileAtomically(dir / ("faulty_" + std::to_string(number++)), c.text);
  }
  const std::pair<const char*, const char*> others[] = {
      {"rope_parameters", R"({"model_type":"llama","vocab_size":50,"hidden_size":16,"num_hidden_layers":1,)"
                          R"("num_attention_heads":2,"intermediate_size":32,"eos_token_id":[1,2],)"
                          R"("rope_parameters":{"rope_type":"default","rope_theta":1234.0}})"},
      {"rope_scaling", R"({"model_type":"llama","vocab_size":50,"hidden_size":16,"num_hidden_layers":1,)"
                       R"("num_attention_heads":2,"intermediate_size":32,"rope_scaling":{"type":"linear"}})"}};
  for (const auto& [name, text] : others) kinetok::WriteFileAtomically(dir / name, text);
  kinetok::WriteFileAtomically(dir / "deep", std::string(5000, '['));
}

// Every kind of tokenizer.json, cut short, and with each field of each part replaced or left out.
void WriteTokenizerSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  kinetok::BytesBpeTrainer bpe({.vocab_size = 262});
  bpe.Add("ab ab abc abc");
  kinetok::CharTrainer characters({"<|endoftext|>"});
  characters.Add("abc 오늘");
  const std::pair<std::string, std::string> valid[] = {{"bpe", bpe.Train()->ToJson()},
                                                       {"char", characters.Train()->ToJson()},
                                                       {"bert", kinetok::ValidWordPiece().dump()},
                                                       {"llama", kinetok::ValidLlama().dump()}};
  for (const auto& [name, text] : valid) {
    kinetok::WriteFileAtomically(dir / name, text);
    kinetok::WriteFileAtomically(dir / (name + "_cut"), text.substr(0, text.size() / 2));
    const kinetok::Json flat = kinetok::Json::parse(text).flatten();
    for (const auto& field : flat.items()) {
      if (field.key().starts_with("/model/vocab/") && !field.key().ends_with("a")) continue;
      for (const char* value : {"-1", "0", "16777215", "null", "\"x\"", "true"}) {
        kinetok::Json lying = flat;
        lying[field.key()] = kinetok::Json::parse(value);
        std::string file = name + field.key() + "=" + value;
        for (char& c : file) {
          if (c == '"' || c == '/') c = '_';
        }
        kinetok::WriteFileAtomically(dir / file, lying.unflatten().dump());
      }
    }
  }
  int number = 0;
  const auto write_faulty = [&](const kinetok::Json& valid, const std::vector<kinetok::Fault>& faults) {
    for (const kinetok::Fault& fault : faults) {
      kinetok::Json json = valid;
      json[kinetok::Json::json_pointer(fault.pointer)] = fault.value;
      kinetok::WriteFileAtomically(dir / ("faulty_" + std::to_string(number++)), json.dump());
    }
  };
  write_faulty(kinetok::ValidBpe(), kinetok::UnsupportedBpe());
  write_faulty(kinetok::ValidBpe(), kinetok::BrokenBpe());
  write_faulty(kinetok::ValidChar(), kinetok::UnsupportedChar());
  // Every part that a tokenizer.json may hold.
  const char* const parts[] = {
      R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"StripAccents"}]}})",
      R"({"normalizer":{"type":"Strip","strip_left":true,"strip_right":true}})",
      R"({"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true}})",
      R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"Digits"}]}})",
      R"({"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"MergedWithNext","invert":true}})",
      R"({"pre_tokenizer":{"type":"Punctuation","behavior":"Contiguous"}})",
      R"({"decoder":{"type":"BPEDecoder","suffix":"</w>"}})",
      R"({"decoder":{"type":"Metaspace","replacement":"_","prepend_scheme":"always"}})",
      R"({"decoder":{"type":"Strip","content":"a","start":1,"stop":1}})",
      R"({"post_processor":{"type":"RobertaProcessing","sep":["[SEP]",2],"cls":["[CLS]",1],"trim_offsets":true}})"};
  number = 0;
  for (const char* part : parts) {
    kinetok::Json json = kinetok::ValidLlama();
    json.update(kinetok::Json::parse(part));
    kinetok::WriteFileAtomically(dir / ("part_" + std::to_string(number++)), json.dump());
  }
}

void WriteModelSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  const std::string valid = kinetok::ModelFile(kinetok::SmallPieces());
  kinetok::WriteFileAtomically(dir / "valid", valid);
  kinetok::WriteFileAtomically(dir / "cut", valid.substr(0, valid.size() / 2));
  kinetok::WriteFileAtomically(dir / "no_bytes", kinetok::ModelFile(kinetok::SmallPieces(false)));
  int number = 0;
  for (const auto& broken : kinetok::BrokenModels()) {
    kinetok::WriteFileAtomically(dir / ("broken_" + std::to_string(number++)), broken.bytes);
  }
}

// The tests' bodies but the megabyte, and base64 behind its mark.
void WriteActSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  for (const auto& c : kinetok::ActBodyCases()) {
    if (c.body.size() < 10'000) kinetok::WriteFileAtomically(dir / c.name, c.body);
  }
  int number = 0;
  for (const char* text : {"=", "=Zg==", "=Zm8=", "=+/++Zm9v", "=Zh=="}) {
    kinetok::WriteFileAtomically(dir / ("base64_" + std::to_string(number++)), text);
  }
}

// The first byte says which file it is.
void WriteFilesSeeds(const fs::path& dir) {
  fs::create_directories(dir);
  using namespace std::string_literals;
  const std::pair<const char*, std::string> seeds[] = {
      {"vocab", "\0[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n##c\nab\r\n오늘\n"s},
      {"vocab_twice", "\0[UNK]\na\na\n"s},
      {"gpt1", "\1#version: 0.2\na b\nab c</w>\na b</w>\n"s},
      {"gpt2", "\2#version: 0.2\na b\nab c\n\xC4\xA0 a\n\xC4\xA0 ab\n"s},
      {"gpt2_lonely", "\2a b\nab\n"s}};
  for (const auto& [name, bytes] : seeds) kinetok::WriteFileAtomically(dir / name, bytes);
}

// GPT-1's first release: a vector in both versions of .npy, and the shapes of a small model.
void WriteGpt1Seeds(const fs::path& dir) {
  fs::create_directories(dir);
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", values(8, 'v');
  const auto length = static_cast<char>(header.size());
  kinetok::WriteFileAtomically(dir / "npy1", std::string("\x93NUMPY\x01\x00", 8) + length + '\0' + header + values);
  kinetok::WriteFileAtomically(dir / "npy2",
                               std::string("\x93NUMPY\x02\x00", 8) + length + std::string(3, '\0') + header + values);
  kinetok::WriteFileAtomically(dir / "shapes",
                               "[[7,64],[5,64],[1,64,192],[192],[1,64,64],[64],[64],[64],[1,64,256],[256],[1,256,64],"
                               "[64],[64],[64]]");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds DIR\n");
    return 2;
  }
  const fs::path dir = argv[1];
  WriteSafetensorsSeeds(dir / "safetensors");
  WriteGgufSeeds(dir / "gguf");
  WriteImageSeeds(dir / "image");
  WriteGpt1Seeds(dir / "gpt1_params");
  WriteConfigSeeds(dir / "config_json");
  WriteTokenizerSeeds(dir / "tokenizer_json");
  WriteModelSeeds(dir / "tokenizer_model");
  WriteFilesSeeds(dir / "tokenizer_files");
  WriteActSeeds(dir / "act_request");
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "fuzz_seeds: error: %s\n", e.what());
  return 1;
}
