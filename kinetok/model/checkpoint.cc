#include "kinetok/model/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"

namespace kinetok {
namespace {

std::string ShapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Whether a tensor holds what the tensor that it repeats holds, like a head stored beside the embedding that it is tied
// to.
bool SameData(const TensorData& a, const TensorData& b) {
  return a.info->dtype == b.info->dtype && a.info->bytes == b.info->bytes &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

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

// Copies one published tensor into its rows of a parameter, undoing GPT-2's transposition.
void ReadTensor(const TensorData& data, const PublishedTensor& t, const Parameter& p, std::span<float> flat) {
  const int64_t columns = std::max<int64_t>(1, p.columns);
  float* out = flat.data() + p.offset + t.first_row * columns;
  if (!t.transposed) return data.LoadF32(0, {out, static_cast<size_t>(t.rows * columns)});
  std::vector<float> row(t.rows);
  for (int64_t c = 0; c < columns; ++c) {
    data.LoadF32(c * t.rows, row);
    for (int64_t r = 0; r < t.rows; ++r) out[r * columns + c] = row[r];
  }
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

ModelConfig LoadDirectoryConfig(const std::filesystem::path& dir) {
  if (!std::filesystem::is_directory(dir)) Fail("{}: is not a model directory", dir.string());
  const auto file = dir / "config.json";
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

MatchedTensors MatchTensors(const std::filesystem::path& dir, const Checkpoint& checkpoint, const ModelConfig& config,
                            const std::vector<PublishedTensor>& needed) {
  std::map<std::string, const TensorData*> by_name;
  for (const TensorData& t : checkpoint.tensors()) {
    const auto [it, fresh] = by_name.emplace(CanonicalTensorName(config, t.info->name), &t);
    if (!fresh) Fail("{} and \"{}\" are the same tensor", t.Describe(), it->second->info->name);
  }
  MatchedTensors out;
  std::map<std::string_view, const TensorData*> taken;
  for (const PublishedTensor& want : needed) {
    const auto it = by_name.find(want.name);
    if (it == by_name.end()) {
      Fail("{}: tensor \"{}\" is missing, which config.json asks for", dir.string(), want.name);
    }
    const TensorData& t = *it->second;
    if (!std::equal(t.info->shape.begin(), t.info->shape.end(), want.shape.begin(), want.shape.end())) {
      Fail("{} has shape {}, expected {} (config.json)", t.Describe(), ShapeText(t.info->shape), ShapeText(want.shape));
    }
    if (!t.info->type) Fail("{} has dtype {}, expected F32, F16 or BF16", t.Describe(), t.info->dtype);
    if (want.zero_filled) CheckZero(t, want.rows);
    taken[want.name] = &t;
    out.found.push_back(&t);
    by_name.erase(it);
  }
  for (const auto& [name, tensor] : by_name) {
    const auto original = taken.find(OriginalOfCopy(config, name));
    const bool copy = original != taken.end() && SameData(*tensor, *original->second);
    if (!copy && !IsIgnorableTensor(config, name)) {
      Fail("{} is not part of this model (model_type \"{}\")", tensor->Describe(), config.model_type);
    }
    out.unread.push_back(tensor->info->name);
  }
  return out;
}

void LoadParameters(const std::filesystem::path& dir, const ModelConfig& config, const ParameterList& list,
                    std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  const Checkpoint checkpoint(dir);
  const std::vector<PublishedTensor> tensors = PublishedTensors(config, list);
  const MatchedTensors matched = MatchTensors(dir, checkpoint, config, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].zero_filled) continue;
    ReadTensor(*matched.found[i], tensors[i], list.all[tensors[i].parameter], flat);
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
