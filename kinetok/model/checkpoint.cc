#include "kinetok/model/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/gpt1_params.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/gguf_model.h"

namespace kinetok {
namespace {

std::string ShapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Whether a tensor holds what the tensor that it repeats holds, like a head stored beside the embedding that it is tied
// to.
bool SameData(const TensorData& a, const TensorData& b) {
  return a.info->dtype == b.info->dtype && a.info->shape == b.info->shape &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

void WriteTensor(SafetensorsWriter& writer, const PublishedTensor& t, const ParameterList& list,
                 std::span<const float> flat) {
  if (t.zero_filled) return writer.Write(t.name, std::vector<float>(t.rows));
  const Parameter& p = list.all[t.parameter];
  const int64_t columns = std::max<int64_t>(1, p.columns);
  const float* in = flat.data() + p.offset + t.first_row * columns;
  if (!t.transposed) return writer.Write(t.name, std::span<const float>(in, t.rows * columns));
  std::vector<float> row(t.rows);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < t.rows; ++r) row[r] = in[r * columns + c];
    writer.Write(t.name, std::span<const float>(row));
  }
}

void CheckZero(const TensorData& data, int64_t elements) {
  std::vector<float> values(elements);
  data.LoadF32(0, values);
  if (std::any_of(values.begin(), values.end(), [](float v) { return v != 0; })) {
    Fail("{} is not all zeros, which \"kinetok_bias\": false in config.json promises", data.Describe());
  }
}

}  // namespace

std::string_view HuggingFaceDType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF16:
      return "float16";
    case DType::kBF16:
      return "bfloat16";
  }
  KINETOK_CHECK(false);
  return "";
}

ModelConfig LoadDirectoryConfig(const std::filesystem::path& dir) {
  if (!std::filesystem::is_directory(dir)) {
    Fail("{}: is not a model directory; expected a Hugging Face directory or a .gguf file", dir.string());
  }
  const auto file = dir / "config.json";
  const auto shapes = dir / kGpt1Shapes;
  if (!std::filesystem::exists(file) && std::filesystem::exists(shapes)) {
    const std::string source = shapes.string();
    return ParseModelConfig(Json(Gpt1ConfigFromShapes(ParseJson(ReadFile(shapes), source), source)), source);
  }
  if (!std::filesystem::exists(file)) {
    Fail("{}: holds no config.json; expected a Hugging Face model directory or the name of a .gguf file", dir.string());
  }
  Json json = ParseJson(ReadFile(file), file.string());
  const auto generation = dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json g = ParseJson(ReadFile(generation), generation.string());
    const JsonObject object(g, generation.string());
    for (const char* key : {"bos_token_id", "eos_token_id"}) {
      if (object.Has(key) && json.is_object()) json[key] = g.at(key);
    }
  }
  return ParseModelConfig(json, file.string());
}

MatchedTensors MatchTensors(const Checkpoint& checkpoint, const ModelConfig& config, const ParameterList& list) {
  const bool gguf = checkpoint.gguf() != nullptr;
  const std::string_view described_in = gguf ? "its metadata" : "config.json";
  std::map<std::string, const TensorData*> by_name;
  for (const TensorData& t : checkpoint.tensors()) {
    const auto [it, fresh] = by_name.emplace(gguf ? t.info->name : CanonicalTensorName(config, t.info->name), &t);
    if (!fresh) Fail("{} and \"{}\" are the same tensor", t.Describe(), it->second->info->name);
  }
  MatchedTensors out;
  out.needed = gguf ? GgufTensors(config, list) : PublishedTensors(config, list);
  std::map<std::string_view, const TensorData*> taken;
  for (const PublishedTensor& want : out.needed) {
    if (want.zero_filled && !gguf && IsIgnorableTensor(config, want.name)) {  // written for others, never read
      out.found.push_back(nullptr);
      continue;
    }
    const auto it = by_name.find(want.name);
    if (it == by_name.end()) {
      Fail("{}: tensor \"{}\" is missing, which {} asks for", checkpoint.path().string(), want.name, described_in);
    }
    const TensorData& t = *it->second;
    if (!std::equal(t.info->shape.begin(), t.info->shape.end(), want.shape.begin(), want.shape.end())) {
      Fail("{} has shape {}, expected {} ({})", t.Describe(), ShapeText(t.info->shape), ShapeText(want.shape),
           described_in);
    }
    t.RequireType();
    if (want.zero_filled && !want.unread) CheckZero(t, want.rows);
    taken[want.name] = &t;
    out.found.push_back(&t);
    by_name.erase(it);
  }
  for (const auto& [name, tensor] : by_name) {
    const auto original = taken.find(gguf ? GgufOriginalOfCopy(name) : OriginalOfCopy(config, name));
    const bool copy = original != taken.end() && SameData(*tensor, *original->second);
    if (!copy && (gguf || !IsIgnorableTensor(config, name))) {
      Fail("{} is not part of this model ({} \"{}\")", tensor->Describe(), gguf ? "architecture" : "model_type",
           config.model_type);
    }
    out.unread.push_back(tensor->info->name);
  }
  return out;
}

namespace {

std::unique_ptr<const Checkpoint> OpenModel(const std::filesystem::path& path, ModelConfig* config) {
  if (!std::filesystem::is_directory(path) && (path.extension() == ".gguf" || IsGguf(path))) {
    auto checkpoint = std::make_unique<const Checkpoint>(path);
    *config = ReadGgufConfig(checkpoint->gguf()->metadata(), checkpoint->gguf()->tensors());
    const TensorData *head = checkpoint->Find("output.weight"), *embedding = checkpoint->Find("token_embd.weight");
    // Some files of a tied model carry the matrix twice; it is read and kept once.
    if (head != nullptr && embedding != nullptr) {
      config->tie_word_embeddings = SameData(*head, *embedding);
      head->Drop();
      embedding->Drop();
    }
    return checkpoint;
  }
  *config = LoadDirectoryConfig(path);
  return std::make_unique<const Checkpoint>(path);
}

}  // namespace

ModelFiles::ModelFiles(const std::filesystem::path& path)
    : checkpoint_(OpenModel(path, &config_)), list_(config_), tensors_(MatchTensors(*checkpoint_, config_, list_)) {}

std::shared_ptr<const Tokenizer> ModelFiles::LoadTokenizer() const {
  const GgufFile* gguf = checkpoint_->gguf();
  return gguf != nullptr ? ReadGgufTokenizer(gguf->metadata()) : Tokenizer::Load(checkpoint_->path());
}

std::shared_ptr<const Tokenizer> LoadTokenizer(const std::filesystem::path& path) {
  return IsGguf(path) ? ReadGgufTokenizer(GgufFile(path).metadata()) : Tokenizer::Load(path);
}

void CheckTokenizer(const std::filesystem::path& dir, const Tokenizer& tokenizer, const ModelConfig& config) {
  if (tokenizer.vocab_size() > config.vocab_size) {
    Fail("{}: the tokenizer has ids up to {}, the model a vocab_size of {}: they do not belong together", dir.string(),
         tokenizer.vocab_size() - 1, config.vocab_size);
  }
  for (const int32_t eos : config.eos_token_ids) {
    if (tokenizer.Has(eos)) continue;
    Fail(
        "{}: the model ends its texts with token {} (eos_token_id), which the tokenizer lacks: they do not belong "
        "together",
        dir.string(), eos);
  }
}

std::vector<StoredRun> StoredRuns(const PublishedTensor& t) {
  if (t.rotary_dim == 0) return {{0, 1, t.first_row, t.rows}};
  std::vector<StoredRun> runs;
  const int64_t half = t.rotary_dim / 2;
  for (int64_t head = 0; head < t.rows; head += t.rotary_dim) {
    runs.push_back({head, 2, t.first_row + head, half});
    runs.push_back({head + 1, 2, t.first_row + head + half, half});
  }
  return runs;
}

void ReadTensor(const TensorData& data, const PublishedTensor& t, int64_t columns, std::span<float> parameter) {
  if (t.transposed) {
    std::vector<float> row(t.rows);
    for (int64_t c = 0; c < columns; ++c) {
      data.LoadF32(c * t.rows, row);
      for (int64_t r = 0; r < t.rows; ++r) parameter[(t.first_row + r) * columns + c] = row[r];
    }
    return;
  }
  for (const StoredRun& run : StoredRuns(t)) {
    const int64_t piece = run.stride == 1 ? run.rows : 1;  // rows that lie together
    for (int64_t i = 0; i < run.rows; i += piece) {
      data.LoadF32((run.stored + i * run.stride) * columns,
                   parameter.subspan((run.parameter_row + i) * columns, piece * columns));
    }
  }
}

void LoadParameters(const std::filesystem::path& path, const ModelConfig& config, const ParameterList& list,
                    std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  const Checkpoint checkpoint(path);
  const MatchedTensors matched = MatchTensors(checkpoint, config, list);
  for (size_t i = 0; i < matched.needed.size(); ++i) {
    const PublishedTensor& t = matched.needed[i];
    if (t.zero_filled) continue;
    const Parameter& p = list.all[t.parameter];
    ReadTensor(*matched.found[i], t, std::max<int64_t>(1, p.columns), flat.subspan(p.offset, p.elements()));
    matched.found[i]->Drop();
  }
}

void SaveConfig(const std::filesystem::path& dir, const ModelConfig& config, DType dtype) {
  OrderedJson generation;
  const OrderedJson json = ModelConfigToJson(config, HuggingFaceDType(dtype));
  generation["_from_model_config"] = true;
  if (config.bos_token_id) generation["bos_token_id"] = json["bos_token_id"];
  if (!config.eos_token_ids.empty()) generation["eos_token_id"] = json["eos_token_id"];
  WriteFileAtomically(dir / "generation_config.json", generation.dump(2) + "\n");
  WriteFileAtomically(dir / "config.json", json.dump(2) + "\n");
}

void SaveCheckpoint(const std::filesystem::path& dir, const ModelConfig& config, std::span<const float> flat,
                    const Tokenizer* tokenizer, DType dtype) {
  const ParameterList list(config);
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  std::filesystem::create_directories(dir);
  std::map<std::string_view, const PublishedTensor*> by_name;
  std::vector<TensorSpec> specs;
  const std::vector<PublishedTensor> tensors = PublishedTensors(config, list);
  for (const PublishedTensor& t : tensors) {
    by_name[t.name] = &t;
    specs.push_back({t.name, dtype, t.shape});
  }
  SafetensorsWriter writer(dir / "model.safetensors", std::move(specs));
  for (const TensorSpec& spec : writer.tensors()) WriteTensor(writer, *by_name.at(spec.name), list, flat);
  writer.Commit();
  if (tokenizer != nullptr) tokenizer->Save(dir);
  SaveConfig(dir, config, dtype);
}

}  // namespace kinetok
