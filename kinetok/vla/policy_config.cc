#include "kinetok/vla/policy_config.h"

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLlamaSeparator = 29871, kMaxPadding = 1 << 20;

JsonObject Carried(const ModelConfig& model, const fs::path& dir) {
  if (model.towers.empty()) {
    Fail("{}: model_type \"{}\" sees no images and gives no actions; expected openvla", dir.string(), model.model_type);
  }
  return {model.carried, (dir / "config.json").string()};
}

ActionTokenizer ReadActions(const ModelConfig& model, const JsonObject& o) {
  const int64_t padding = o.Int("pad_to_multiple_of", 0, kMaxPadding, 64);
  return ActionTokenizer(model.vocab_size - padding, o.Int("n_action_bins", 2, 65536, ActionTokenizer::kBins));
}

DatasetStatistics ReadStatistics(const JsonObject& o, const fs::path& dir, const fs::path& adapter) {
  constexpr const char* kName = "dataset_statistics.json";
  for (const fs::path& folder : {adapter, dir}) {
    const fs::path file = folder / kName;
    if (!folder.empty() && fs::exists(file)) return {ParseJson(ReadFile(file), file.string()), file.string()};
  }
  if (o.Has("norm_stats")) return {o.json().at("norm_stats"), o.source() + ": norm_stats"};
  return {Json::object(), o.source()};
}

std::vector<std::string> Texts(const JsonObject& o, std::string_view key) {
  std::vector<std::string> out;
  if (!o.Has(key)) return out;
  for (const Json& v : o.Array(key)) {
    if (!v.is_string()) Fail("{}: field \"{}\" holds {}, expected texts", o.source(), key, Shorten(v));
    out.push_back(v.get<std::string>());
  }
  return out;
}

std::vector<std::string> OrDefault(const std::vector<std::string>& given, int64_t dimensions,
                                   std::vector<std::string> openvla, bool numbered) {
  if (static_cast<int64_t>(given.size()) == dimensions) return given;
  if (dimensions == static_cast<int64_t>(openvla.size())) return openvla;
  std::vector<std::string> out;
  for (int64_t i = 0; i < dimensions; ++i) out.push_back(numbered ? fmt::format("{}", i) : "");
  return out;
}

}  // namespace

PolicyConfig::PolicyConfig(const ModelConfig& model, const fs::path& dir, const fs::path& adapter)
    : actions(ReadActions(model, Carried(model, dir))), statistics(ReadStatistics(Carried(model, dir), dir, adapter)) {
  const JsonObject o = Carried(model, dir);
  separator = kLlamaSeparator;
  if (o.Has("kinetok_vla")) {
    const JsonObject own = o.Object("kinetok_vla");
    separator = static_cast<int32_t>(own.Int("separator_token_id", 0, model.vocab_size - 1, kLlamaSeparator));
    style = ParseInstructionStyle(own.String("instruction_style", "openvla"));
    names_ = Texts(own, "action_names");
    units_ = Texts(own, "action_units");
  }
  if (separator >= model.vocab_size) {
    Fail("{}: kinetok_vla.separator_token_id is missing, and Llama's ({}) is outside the vocabulary of {}", o.source(),
         kLlamaSeparator, model.vocab_size);
  }
}

std::vector<std::string> PolicyConfig::Names(int64_t dimensions) const {
  return OrDefault(names_, dimensions, {"x", "y", "z", "roll", "pitch", "yaw", "gripper"}, true);
}

std::vector<std::string> PolicyConfig::Units(int64_t dimensions) const {
  return OrDefault(units_, dimensions, {"m", "m", "m", "rad", "rad", "rad", "1 open, 0 closed"}, false);
}

}  // namespace kinetok
