#include "kinetok/model/convert.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/io/atomic_directory.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/io/shards.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/gguf_model.h"
#include "kinetok/model/tensor_copy.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Files of a tokenizer, which go from one directory to another as they are.
constexpr std::array kTokenizerFiles = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "tokenizer.model",
                                        "vocab.json",
                                        "merges.txt",
                                        "vocab.txt",
                                        "chat_template.jinja"};

// Of these, the ones that hold a vocabulary; and OpenAI's, which become a tokenizer.json.
constexpr std::array kVocabularyFiles = {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"};
constexpr std::array kOpenAiVocabularyFiles = {"encoder.json", "encoder_bpe_40000.json"};

// What a policy's directory holds beside these, which goes along too.
constexpr std::array kPolicyFiles = {"preprocessor_config.json", "dataset_statistics.json"};

template <class Names>
bool HoldsOneOf(const fs::path& directory, const Names& names) {
  return std::ranges::any_of(names, [&](const char* name) { return fs::exists(directory / name); });
}

bool IsFileOfAModel(const std::string& name) {
  const bool weights = name.starts_with("model") && (name.ends_with(".safetensors") || name.ends_with(".index.json"));
  return weights || name == "config.json" || name == "generation_config.json" ||
         std::ranges::find(kTokenizerFiles, name) != kTokenizerFiles.end() ||
         std::ranges::find(kPolicyFiles, name) != kPolicyFiles.end();
}

// What llama.cpp computes with in f32 only.
bool IsAlwaysF32InGguf(const PublishedTensor& t, const ParameterList& list) {
  return t.shape.size() < 2 || t.parameter == list.position || t.parameter == list.token_type;
}

// One conversion: every tensor's place in both layouts.
class Conversion {
 public:
  Conversion(const fs::path& from, bool to_gguf, const ConvertOptions& options)
      : files_(from), options_(options), to_gguf_(to_gguf) {
    const ModelConfig& config = files_.config();
    const auto& [needed, found, unread] = files_.tensors();
    matrix_type_ = options.dtype.value_or(found[0]->RequireType());  // the embedding comes first in every layout
    // Before GgufTensors, which knows those architectures alone.
    if (to_gguf) fields_ = GgufConfigFields(config, matrix_type_, from.string());
    targets_ = to_gguf ? GgufTensors(config, files_.parameters()) : PublishedTensors(config, files_.parameters());
    std::map<std::pair<int, int64_t>, size_t> by_rows;
    for (size_t i = 0; i < needed.size(); ++i) {
      if (!needed[i].zero_filled) by_rows[{needed[i].parameter, needed[i].first_row}] = i;
    }
    for (size_t k = 0; k < targets_.size(); ++k) {
      const PublishedTensor& t = targets_[k];
      TensorMove move;
      if (!t.zero_filled) {
        const size_t i = by_rows.at({t.parameter, t.first_row});
        move = {*found[i], &needed[i], &t, std::max<int64_t>(1, files_.parameters().all[t.parameter].columns)};
      } else if (t.unread) {  // kept as it is, for others
        move = {*found[k], &needed[k], &t, 1};
      }
      specs_.push_back({t.name, TypeOf(t, move), t.shape});
      total_ += TensorBytes(specs_.back());
      moves_[t.name] = move;
    }
  }

  const std::vector<TensorSpec>& specs() const { return specs_; }
  const ModelFiles& files() const { return files_; }
  DType matrix_type() const { return matrix_type_; }
  GgufFields& fields() { return fields_; }
  ConvertResult Result(int64_t bytes) const {
    return {files_.parameters().parameters, static_cast<int64_t>(specs_.size()), bytes};
  }

  void Write(TensorWriter& writer) {
    for (const TensorSpec& spec : writer.tensors()) {
      const TensorMove& move = moves_.at(spec.name);
      if (move.to == nullptr) {  // zeros that the layout demands
        writer.Write(spec.name, std::vector<std::byte>(static_cast<size_t>(TensorBytes(spec))));
        Advance(TensorBytes(spec));
      } else {
        CopyTensor(move, writer, spec, [&](int64_t bytes) { Advance(bytes); });
        move.data.Drop();
      }
    }
    writer.Commit();
  }

 private:
  DType TypeOf(const PublishedTensor& t, const TensorMove& move) const {
    if (to_gguf_ && IsAlwaysF32InGguf(t, files_.parameters())) return DType::kF32;
    if (options_.dtype || move.to == nullptr) return matrix_type_;
    const DType stored = move.data.RequireType();
    const bool widened = files_.checkpoint().gguf() != nullptr && IsAlwaysF32InGguf(t, files_.parameters());
    return widened && FitsExactly(move.data, matrix_type_) ? matrix_type_ : stored;
  }
  void Advance(int64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
  }

  ModelFiles files_;
  const ConvertOptions& options_;
  bool to_gguf_;
  DType matrix_type_ = DType::kF32;
  GgufFields fields_;
  std::vector<PublishedTensor> targets_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, TensorMove> moves_;
  int64_t total_ = 0, done_ = 0;
};

// The tokenizer of the model; null when it has no file for one.
std::shared_ptr<const Tokenizer> TokenizerOf(const ModelFiles& files) {
  const Checkpoint& checkpoint = files.checkpoint();
  const bool there =
      checkpoint.gguf() != nullptr
          ? checkpoint.gguf()->metadata().String("tokenizer.ggml.model", "no_vocab") != "no_vocab"
          : HoldsOneOf(checkpoint.path(), kVocabularyFiles) || HoldsOneOf(checkpoint.path(), kOpenAiVocabularyFiles);
  if (!there) return nullptr;
  auto tokenizer = files.LoadTokenizer();
  CheckTokenizer(checkpoint.path(), *tokenizer, files.config());
  return tokenizer;
}

int64_t WriteGguf(Conversion& conversion, const fs::path& to, const ConvertOptions& options) {
  const ModelFiles& files = conversion.files();
  const auto tokenizer = options.tokenizer ? TokenizerOf(files) : nullptr;
  GgufFields fields = std::move(conversion.fields());
  for (auto& field : GgufTokenizerFields(tokenizer.get(), files.config(), files.checkpoint().path().string())) {
    fields.push_back(std::move(field));
  }
  GgufWriter writer(to, conversion.specs(), fields);
  conversion.Write(writer);
  return writer.file_bytes();
}

int64_t WriteDirectory(Conversion& conversion, const fs::path& to, const ConvertOptions& options) {
  const ModelFiles& files = conversion.files();
  AtomicDirectory directory(to);
  const bool as_it_is = files.checkpoint().gguf() == nullptr && HoldsOneOf(files.checkpoint().path(), kVocabularyFiles);
  const auto copy = [&](const auto& names) {
    for (const char* name : names) {
      const fs::path file = files.checkpoint().path() / name;
      if (fs::exists(file)) WriteFileAtomically(directory.path() / name, ReadFile(file));
    }
  };
  if (files.checkpoint().gguf() == nullptr) CopyPolicyFiles(files.checkpoint().path(), directory.path());
  if (options.tokenizer && as_it_is) {
    copy(kTokenizerFiles);
  } else if (options.tokenizer) {
    if (const auto tokenizer = TokenizerOf(files)) tokenizer->Save(directory.path());
  }
  const std::string source = files.checkpoint().path().string();
  const OrderedJson json = ModelConfigToJson(files.config(), HuggingFaceDType(conversion.matrix_type()));
  if (ParseModelConfig(Json(json), source) != files.config()) {
    Fail("{}: this model has options that a config.json of model_type \"{}\" cannot hold", source,
         files.config().model_type);
  }
  SaveConfig(directory.path(), files.config(), conversion.matrix_type());
  const fs::path generation = files.checkpoint().path() / "generation_config.json";
  if (files.checkpoint().gguf() == nullptr && fs::exists(generation)) {  // it says more than ends of texts
    WriteFileAtomically(directory.path() / "generation_config.json", ReadFile(generation));
  }
  const std::vector<Shard> shards = PlanShards(conversion.specs(), options.max_shard_bytes);
  int64_t bytes = 0;
  for (const Shard& shard : shards) {
    SafetensorsWriter writer(directory.path() / shard.file, shard.tensors);
    conversion.Write(writer);
    bytes += writer.file_bytes();
  }
  if (shards.size() > 1) {
    WriteFileAtomically(directory.path() / "model.safetensors.index.json",
                        ShardIndex(shards, files.parameters().parameters));
  }
  directory.Commit();
  return bytes;
}

}  // namespace

void CheckTarget(const fs::path& to, bool gguf, bool force) {
  std::error_code error;
  if (fs::symlink_status(to, error).type() == fs::file_type::not_found) return;
  const bool directory = fs::is_directory(to);
  if (gguf == directory) {
    Fail("{}: is {}, expected {}", to.string(), directory ? "a directory" : "a file",
         gguf ? "a file of this name or none" : "a directory of this name or none");
  }
  if (directory && fs::is_empty(to)) return;
  if (!force) Fail("{}: exists already, expected a new name; --force replaces a model", to.string());
  if (!directory) return;
  for (const auto& entry : fs::directory_iterator(to)) {
    if (!IsFileOfAModel(entry.path().filename().string())) {
      Fail("{}: holds {}, which is no file of a model and would be lost; expected a new name", to.string(),
           entry.path().filename().string());
    }
  }
}

void CopyPolicyFiles(const fs::path& from, const fs::path& to) {
  for (const char* name : kPolicyFiles) {
    if (fs::exists(from / name)) WriteFileAtomically(to / name, ReadFile(from / name));
  }
}

ConvertResult ConvertModel(const fs::path& from, const fs::path& to, const ConvertOptions& options) {
  if (options.max_shard_bytes < 1) Fail("max_shard_size is {}; it must be at least 1", options.max_shard_bytes);
  const bool gguf = to.extension() == ".gguf";
  CheckTarget(to, gguf, options.force);
  Conversion conversion(from, gguf, options);
  return conversion.Result(gguf ? WriteGguf(conversion, to, options) : WriteDirectory(conversion, to, options));
}

}  // namespace kinetok
