// What a policy's directory says beside its layers: where actions lie in the vocabulary, how an instruction is put, and
// what the numbers of an action mean.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kinetok/model/config.h"
#include "kinetok/vla/action_tokenizer.h"
#include "kinetok/vla/instruction.h"
#include "kinetok/vla/statistics.h"

namespace kinetok {

// Fields of config.json, of OpenVLA (n_action_bins, pad_to_multiple_of, norm_stats) and, under "kinetok_vla", of our
// own: separator_token_id (29871, Llama's "▁", without it), instruction_style, action_names and action_units.
struct PolicyConfig {
  // `dir` holds the files; dataset_statistics.json in it replaces norm_stats, and one in the folder of an adapter,
  // which brings the statistics of what it was trained on, replaces both. Throws Error naming file and field.
  PolicyConfig(const ModelConfig& model, const std::filesystem::path& dir, const std::filesystem::path& adapter = {});

  ActionTokenizer actions;
  DatasetStatistics statistics;
  int32_t separator = 0;
  InstructionStyle style = InstructionStyle::kOpenVla;

  // Of an action with so many dimensions: what the directory says (one entry a dimension, else the constructor throws).
  // Where it says neither, seven dimensions are OpenVLA's; what is left is called "0", "1" ... and has no unit.
  std::vector<std::string> Names(int64_t dimensions) const;
  std::vector<std::string> Units(int64_t dimensions) const;

 private:
  bool AsOpenVla(int64_t dimensions) const { return dimensions == 7 && names_.empty() && units_.empty(); }
  std::vector<std::string> names_, units_;
};

}  // namespace kinetok
