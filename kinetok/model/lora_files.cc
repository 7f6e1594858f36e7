// Adapters as PEFT stores them.
#include <map>
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/checkpoint.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/lora.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";

std::string TensorName(const LoraModule& m, char part) {
  return fmt::format("{}{}.lora_{}.weight", kPrefix, m.name, part);
}

void Refuse(const JsonObject& o, std::string_view key, bool present, std::string_view what) {
  if (present) Fail("{}: field \"{}\" asks for {}, which is not supported", o.source(), key, what);
}

LoraOptions ReadOptions(const JsonObject& o) {
  const std::string type = o.String("peft_type");
  if (type != "LORA")
    Fail("{}: field \"peft_type\" is \"{}\", which is not supported; expected LORA", o.source(), type);
  const auto filled = [&](std::string_view key) {
    return o.Has(key) && !o.json()[std::string(key)].empty();  // {} and [] say nothing
  };
  Refuse(o, "use_dora", o.Bool("use_dora", false), "DoRA");
  Refuse(o, "bias", o.String("bias", "none") != "none", "trained biases");
  Refuse(o, "modules_to_save", filled("modules_to_save"), "whole modules beside the adapter");
  Refuse(o, "rank_pattern", filled("rank_pattern"), "ranks of their own");
  Refuse(o, "alpha_pattern", filled("alpha_pattern"), "alphas of their own");
  // These subtract from the weights that they begin with what the adapter begins with; PEFT does it again on loading.
  const Json start = o.Has("init_lora_weights") ? o.json()["init_lora_weights"] : Json();
  for (const std::string_view kind : {"pissa", "olora", "corda", "loftq"}) {
    Refuse(o, "init_lora_weights", start.is_string() && start.get_ref<const std::string&>().starts_with(kind),
           fmt::format("{}, which changes the weights beside the adapter", kind));
  }
  LoraOptions options;
  options.rank = o.Int("r", 1, 4096);
  options.alpha = o.Number("lora_alpha");
  options.rank_stabilised = o.Bool("use_rslora", false);
  options.Check();
  return options;
}

// The module that a stored name belongs to, and which part of it; "…lora_A.default.weight" is an older spelling.
struct Stored {
  std::string module;
  char part;
};
Stored ParseName(const fs::path& file, std::string_view name) {
  for (const char part : {'A', 'B'}) {
    for (const std::string_view middle : {"", ".default"}) {
      const std::string end = fmt::format(".lora_{}{}.weight", part, middle);
      if (name.starts_with(kPrefix) && name.ends_with(end)) {
        return {std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - end.size())), part};
      }
    }
  }
  Fail("{}: tensor \"{}\" is no part of a LoRA adapter; expected \"{}<module>.lora_A.weight\" or lora_B", file.string(),
       name, kPrefix);
}

}  // namespace

Adapter LoadAdapter(const fs::path& dir, const ModelConfig& config, const ParameterList& list) {
  const fs::path config_file = dir / "adapter_config.json", file = dir / "adapter_model.safetensors";
  if (!fs::exists(config_file)) Fail("{}: holds no adapter_config.json, expected a PEFT adapter", dir.string());
  if (!fs::exists(file))
    Fail("{}: holds no adapter_model.safetensors, the only form of an adapter's weights", dir.string());
  const Json json = ParseJson(ReadFile(config_file), config_file.string());
  LoraOptions options = ReadOptions(JsonObject(json, config_file.string()));
  const Checkpoint checkpoint(file);

  std::map<std::string, std::map<char, const TensorData*>> stored;
  for (const TensorData& t : checkpoint.tensors()) {
    const Stored name = ParseName(file, t.info->name);
    stored[name.module][name.part] = &t;
  }
  if (stored.empty()) Fail("{}: holds no tensors", file.string());
  options.targets.clear();
  for (const auto& entry : stored) options.targets.push_back(entry.first);
  Adapter adapter{LoraList(config, list, options), {}};
  std::set<std::string> known;
  for (const LoraModule& m : adapter.lora.modules) known.insert(m.name);
  for (const std::string& name : options.targets) {
    if (!known.contains(name)) {
      Fail("{}: adapts \"{}\", which is no linear layer of this {}", file.string(), name, config.model_type);
    }
  }
  adapter.values.resize(static_cast<size_t>(adapter.lora.elements));
  for (const LoraModule& m : adapter.lora.modules) {
    for (const char part : {'A', 'B'}) {
      const auto& parts = stored.at(m.name);
      if (!parts.contains(part)) Fail("{}: tensor \"{}\" is missing", file.string(), TensorName(m, part));
      const TensorData& data = *parts.at(part);
      const std::vector<int64_t>& shape = part == 'A' ? m.a_shape : m.b_shape;
      if (data.info->shape != shape) {
        Fail("{}: tensor \"{}\" has shape [{}], expected [{}]", file.string(), data.info->name,
             fmt::join(data.info->shape, ", "), fmt::join(shape, ", "));
      }
      const int64_t first = part == 'A' ? m.a : m.b;
      const int64_t count = options.rank * (part == 'A' ? m.columns : m.rows);
      data.LoadF32(0, std::span(adapter.values).subspan(first, count));
    }
  }
  return adapter;
}

void SaveAdapter(const fs::path& dir, const LoraList& lora, std::span<const float> values, const std::string& base) {
  KINETOK_CHECK(static_cast<int64_t>(values.size()) == lora.elements);
  std::vector<TensorSpec> specs;
  std::map<std::string, std::span<const float>> parts;
  for (const LoraModule& m : lora.modules) {
    specs.push_back({TensorName(m, 'A'), DType::kF32, m.a_shape});
    specs.push_back({TensorName(m, 'B'), DType::kF32, m.b_shape});
    parts[TensorName(m, 'A')] = values.subspan(m.a, lora.options.rank * m.columns);
    parts[TensorName(m, 'B')] = values.subspan(m.b, lora.options.rank * m.rows);
  }
  SafetensorsWriter writer(dir / "adapter_model.safetensors", std::move(specs));
  for (const TensorSpec& spec : writer.tensors()) writer.Write(spec.name, parts.at(spec.name));
  writer.Commit();
  // PEFT takes names of modules, or ends of them.
  std::vector<std::string> names;
  for (const LoraModule& m : lora.modules) names.push_back(m.name);
  const OrderedJson json = {{"peft_type", "LORA"},
                            {"task_type", "CAUSAL_LM"},
                            {"base_model_name_or_path", base},
                            {"r", lora.options.rank},
                            {"lora_alpha", lora.options.alpha},
                            {"lora_dropout", 0.0},
                            {"use_rslora", lora.options.rank_stabilised},
                            {"bias", "none"},
                            {"fan_in_fan_out", false},
                            {"init_lora_weights", "gaussian"},
                            {"inference_mode", true},
                            {"target_modules", names}};
  WriteFileAtomically(dir / "adapter_config.json", json.dump(2) + "\n");
}

}  // namespace kinetok
