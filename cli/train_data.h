// What --data and its companions name, as sources of examples.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/train_flags.h"
#include "kinetok/base/json.h"
#include "kinetok/model/config.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/train/dataset.h"
#include "kinetok/train/mixture.h"
#include "kinetok/train/run_directory.h"
#include "kinetok/vla/action_tokenizer.h"

namespace kinetok::cli {

// The files of --data by what they hold.
struct DataFiles {
  std::vector<std::filesystem::path> text, completions, demonstrations;
};
// By how they begin (HDF5) and the ends of their names, in any case. Throws Error naming a file that is neither text
// nor one of the kinds.
DataFiles SortFiles(const std::vector<std::filesystem::path>& files);

struct TrainingSources {
  std::vector<DataShare> shares;
  std::optional<ActionTokenizer> actions;        // with demonstrations
  std::vector<bool> varying_actions;             // of each of their dimensions, by their statistics
  std::map<std::string, std::string> files;      // that the trained model needs: statistics, how images are read
  OrderedJson settings = OrderedJson::object();  // of the data, by the flags' names: a resumed run has the same
};

// `tokenizer` and `model` are the run's. Token files of other data or of another tokenizer stay until the run begins.
// Throws UsageError naming the flag, Error naming the file.
TrainingSources ResolveSources(const TrainFlags& flags, const DataFiles& files, DocumentSeparator separator,
                               const std::shared_ptr<const Tokenizer>& tokenizer, const ModelConfig& model,
                               int64_t block_size, RunDirectory& directory);

}  // namespace kinetok::cli
