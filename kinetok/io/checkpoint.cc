#include "kinetok/io/checkpoint.h"

#include <algorithm>
#include <set>
#include <string>
#include <system_error>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/io/gpt1_params.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

// Whether something is at `path` (a link to nothing is). What cannot be looked at counts as there: opening it says why.
bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

// A shard's name in the index, as a path inside `dir`.
fs::path ShardPath(const fs::path& dir, const std::string& name, std::string_view index) {
  const fs::path relative(name);
  const bool leaves = relative.is_absolute() || std::ranges::find(relative, fs::path("..")) != relative.end();
  const bool printable = std::ranges::all_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  if (name.empty() || leaves || !printable || !relative.has_filename()) {
    Fail("{}: weight_map names the file {}, expected one inside the directory", index, Shorten(Json(name)));
  }
  return dir / relative.lexically_normal();
}

[[noreturn]] void FailWithoutWeights(const fs::path& dir) {
  for (const std::string_view other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"}) {
    if (Exists(dir / other)) {
      Fail(
          "{}: holds {} but no {}; pickled weights can run code and are not read; convert them with Hugging Face "
          "transformers: AutoModelForCausalLM.from_pretrained(\"{}\").save_pretrained(\"NEW_DIR\"), or "
          "AutoModelForMaskedLM for BERT",
          dir.string(), other, kSingle, dir.string());
    }
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() == ".gguf") {
      Fail("{}: holds neither {} nor {}, but {}: name that file instead", dir.string(), kSingle, kIndex,
           entry.path().filename().string());
    }
  }
  Fail("{}: holds neither {} nor {}, expected a Hugging Face model directory or a .gguf file", dir.string(), kSingle,
       kIndex);
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& path) : path_(path) {
  if (!Exists(path)) Fail("{}: no such file or directory", path.string());
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (path.extension() == ".gguf" || IsGguf(path)) {
      auto file = std::make_unique<GgufFile>(path);
      gguf_ = file.get();
      Add(std::move(file));
    } else {
      Add(std::make_unique<SafetensorsFile>(path));
    }
  } else if (Exists(path / kSingle)) {
    Add(std::make_unique<SafetensorsFile>(path / kSingle));
  } else if (Exists(path / kIndex)) {
    AddShards(path);
  } else if (Exists(path / kGpt1Shapes)) {
    Add(std::make_unique<Gpt1Params>(path));
  } else {
    FailWithoutWeights(path);
  }
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_[tensors_[i].info->name] = i;
}

const TensorFile& Checkpoint::Add(std::unique_ptr<TensorFile> file) {
  files_.push_back(std::move(file));
  for (const TensorInfo& t : files_.back()->tensors()) tensors_.push_back({&t, files_.back().get()});
  return *files_.back();
}

void Checkpoint::AddShards(const fs::path& dir) {
  const std::string index = (dir / kIndex).string();
  const Json json = ParseJson(ReadFile(index), index);
  const Json& weight_map = JsonObject(json, index).Object("weight_map").json();
  if (weight_map.empty()) Fail("{}: weight_map is empty, expected the file of every tensor", index);

  std::map<fs::path, std::set<std::string>> shards;  // the tensors listed for each file
  for (const auto& [name, file] : weight_map.items()) {
    if (!file.is_string()) {
      Fail("{}: weight_map gives {} for tensor {}, expected a file name", index, Shorten(file), Shorten(Json(name)));
    }
    shards[ShardPath(dir, file.get<std::string>(), index)].insert(name);
  }
  for (const auto& [file, listed] : shards) {
    if (!Exists(file)) {
      Fail("{}: weight_map names the file {}, which is missing", index, file.lexically_relative(dir).string());
    }
    const TensorFile& shard = Add(std::make_unique<SafetensorsFile>(file));
    for (const TensorInfo& t : shard.tensors()) {
      if (!listed.contains(t.name)) {
        Fail("{} is not listed for this file in {}", TensorData{&t, &shard}.Describe(), kIndex);
      }
    }
    for (const std::string& name : listed) {
      if (shard.Find(name) == nullptr) {
        Fail("{}: weight_map says that tensor {} is in {}, which has none of this name", index, Shorten(Json(name)),
             file.lexically_relative(dir).string());
      }
    }
  }
}

const TensorData* Checkpoint::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

int64_t Checkpoint::bytes() const {
  int64_t sum = 0;
  for (const TensorData& t : tensors_) sum += t.info->bytes;
  return sum;
}

}  // namespace kinetok
