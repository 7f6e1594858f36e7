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
  for (const Json& v : o.Array(key)) {
    if (!v.is_string()) Fail("{}: field \"{}\" holds {}, expected texts", o.source(), key, Shorten(v));
    out.push_back(v.get<std::string>());
  }
  return out;
}

using Words = std::vector<std::string>;

void CheckLength(const Words& given, std::string_view field, const DatasetStatistics& statistics,
                 std::string_view source) {
  for (const auto& [key, of_key] : statistics.all()) {
    const int64_t dimensions = of_key.dimensions();
    if (!given.empty() && static_cast<int64_t>(given.size()) != dimensions) {
      Fail("{}: field \"{}\" has {} entries, expected {}, as many as the actions of \"{}\" have dimensions", source,
           field, given.size(), dimensions, key);
    }
  }
}

}  // namespace

PolicyConfig::PolicyConfig(const ModelConfig& model, const fs::path& dir, const fs::path& adapter)
    : actions(ReadActions(model, Carried(model, dir))), statistics(ReadStatistics(Carried(model, dir), dir, adapter)) {
  const JsonObject o = Carried(model, dir);
  separator = kLlamaSeparator;
  if (o.Has("kinetok_vla")) {
    const JsonObject own = o.Object("kinetok_vla");
    own.AllowKeys({"separator_token_id", "instruction_style", "action_names", "action_units"});
    separator = static_cast<int32_t>(own.Int("separator_token_id", 0, model.vocab_size - 1, kLlamaSeparator));
    style = ParseInstructionStyle(own.String("instruction_style", "openvla"));
    if (own.Has("action_names")) names_ = Texts(own, "action_names");
    if (own.Has("action_units")) units_ = Texts(own, "action_units");
    CheckLength(names_, "action_names", statistics, own.source());
    CheckLength(units_, "action_units", statistics, own.source());
  }
  if (separator >= model.vocab_size) {
    Fail("{}: kinetok_vla.separator_token_id is missing, and Llama's ({}) is outside the vocabulary of {}", o.source(),
         kLlamaSeparator, model.vocab_size);
  }
}

std::vector<std::string> PolicyConfig::Names(int64_t dimensions) const {
  if (!names_.empty()) return names_;
  if (AsOpenVla(dimensions)) return {"x", "y", "z", "roll", "pitch", "yaw", "gripper"};
  Words out;
  for (int64_t i = 0; i < dimensions; ++i) out.push_back(fmt::format("{}", i));
  return out;
}

std::vector<std::string> PolicyConfig::Units(int64_t dimensions) const {
  if (!units_.empty()) return units_;
  if (AsOpenVla(dimensions)) return {"m", "m", "m", "rad", "rad", "rad", "1 open, 0 closed"};
  return Words(static_cast<size_t>(dimensions));
}

}  // namespace kinetok
