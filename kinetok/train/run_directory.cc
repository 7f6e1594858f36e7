#include "kinetok/train/run_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

#include "kinetok/base/error.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "train_config.json";
constexpr const char* kAdapter = "adapter_model.safetensors";
constexpr const char* kState = "trainer_state.safetensors";
constexpr const char* kLog = "log.jsonl";
constexpr const char* kStaged = ".next";  // behind the name of a file that waits for Begin
constexpr int64_t kPieceFloats = 1 << 20;

// AtomicFile's temporary names end like this; under the lock nobody writes them.
bool IsLeftover(const fs::path& file) {
  const std::string name = file.filename().string();
  const size_t at = name.rfind(".tmp");
  return at != std::string::npos && at + 4 < name.size() &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at) + 4, name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

// Removes the regular files of `dir` that `is_leftover` names; nothing when there is no `dir`.
template <class F>
void RemoveFiles(const fs::path& dir, F&& is_leftover) {
  if (!fs::is_directory(dir)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    if (entry.is_regular_file() && is_leftover(entry.path())) fs::remove(entry.path());
  }
}

// The first place where two configurations differ, as "outer.inner", and what each has there.
struct Difference {
  std::string key, old_value, new_value;
};
std::optional<Difference> FirstDifference(const Json& old, const Json& now, const std::string& prefix,
                                          std::span<const std::string> free_fields) {
  const auto show = [](const Json& value, const std::string& key) {
    return value.contains(key) ? Shorten(value[key]) : std::string("absent");
  };
  Json keys = old;
  keys.update(now);
  for (const auto& [key, unused] : keys.items()) {
    if (std::ranges::find(free_fields, key) != free_fields.end()) continue;
    const bool both = old.contains(key) && now.contains(key);
    if (both && old[key] == now[key]) continue;
    if (both && old[key].is_object() && now[key].is_object()) {
      return FirstDifference(old[key], now[key], prefix + key + ".", {});
    }
    return Difference{prefix + key, show(old, key), show(now, key)};
  }
  return std::nullopt;
}

// Takes out of `now`, at any depth, what is named in `later_fields` and has no counterpart in `old`.
void RemoveUnsaved(const Json& old, std::span<const std::string> later_fields, Json& now) {
  if (now.is_array() && old.is_array()) {
    for (size_t i = 0; i < std::min(old.size(), now.size()); ++i) RemoveUnsaved(old[i], later_fields, now[i]);
  }
  if (!now.is_object() || !old.is_object()) return;
  for (const std::string& key : later_fields) {
    if (!old.contains(key)) now.erase(key);
  }
  for (auto& [key, value] : now.items()) {
    if (old.contains(key)) RemoveUnsaved(old[key], later_fields, value);
  }
}

// A number of the metadata; `T` is int64_t or double.
template <class T>
T ReadMetadata(const SafetensorsFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  if (it == file.metadata().end()) Fail("{}: the metadata has no {}", file.path().string(), key);
  const char* end = it->second.data() + it->second.size();
  T value = 0;
  const auto result = std::from_chars(it->second.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || !(value >= 0)) {
    Fail("{}: {} is \"{}\" in the metadata, expected a number of at least 0", file.path().string(), key, it->second);
  }
  return value;
}

struct LogLine {
  int64_t step = 0;
  bool is_sample = false;
};
std::optional<LogLine> ParseLogLine(std::string_view text) {
  try {
    const Json json = ParseJson(text, "log");
    const JsonObject object(json, "log");
    return LogLine{object.Int("step", 0, INT64_MAX), object.Has("sample")};
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

RunDirectory::RunDirectory(fs::path path, bool restart) : path_(std::move(path)), restart_(restart) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) Fail("{}: cannot be created: {}", path_.string(), error.message());
  const fs::path lock = path_ / "lock";
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) Fail("{}: cannot be written: {}: {}", path_.string(), lock.string(), std::strerror(errno));
  close(fd);
  try {
    lock_.emplace(lock);
  } catch (const Error& e) {
    Fail("{} is in use: {}", path_.string(), e.what());
  }
  try {
    RemoveFiles(path_, IsLeftover);
    RemoveFiles(path_ / "data", IsLeftover);
  } catch (const fs::filesystem_error& e) {
    Fail("{}: {}", path_.string(), e.code().message());
  }
  const bool model = fs::exists(path_ / "model.safetensors", error) || fs::exists(path_ / kAdapter, error);
  if (!restart && !holds_run() && model) {
    Fail("{}: holds a model that is not a training run; choose another --out, or --restart to overwrite it",
         path_.string());
  }
}

bool RunDirectory::holds_run() const {
  std::error_code error;
  return fs::exists(path_ / kConfig, error);
}

std::optional<int64_t> RunDirectory::SavedStep() const {
  std::error_code error;
  if (restart_ || !fs::exists(path_ / kState, error)) return std::nullopt;
  return ReadMetadata<int64_t>(SafetensorsFile(path_ / kState), "step");
}

Json RunDirectory::SavedConfig() const {
  if (!holds_run() || !SavedStep()) return nullptr;
  const fs::path file = path_ / kConfig;
  Json config = ParseJson(ReadFile(file), file.string());
  const JsonObject check(config, file.string());
  return config;
}

void RunDirectory::CheckConfig(const OrderedJson& config, std::span<const std::string> free_fields,
                               std::span<const std::string> later_fields) const {
  const Json old = SavedConfig();
  if (old.is_null()) return;
  Json now(config);
  RemoveUnsaved(old, later_fields, now);
  const auto difference = FirstDifference(old, now, "", free_fields);
  if (!difference) return;
  Fail("{}: {} is {} in this run, now it is {}; give the old value to resume, or --restart to start over",
       (path_ / kConfig).string(), difference->key, difference->old_value, difference->new_value);
}

fs::path RunDirectory::Stage(const std::string& name) {
  if (std::ranges::find(staged_, name) == staged_.end()) staged_.push_back(name);
  return path_ / (name + kStaged);
}

void RunDirectory::Begin(const OrderedJson& config) {
  try {
    if (restart_) {
      fs::remove(path_ / kState);  // first: without it nothing resumes
      SyncDirectory(path_);
      for (const char* file : {kLog, "model.safetensors", "config.json", "generation_config.json", "tokenizer.json",
                               "tokenizer_config.json", "preprocessor_config.json", "dataset_statistics.json", kAdapter,
                               "adapter_config.json", "loss.png", "loss.svg"}) {
        fs::remove(path_ / file);
      }
    }
    for (const std::string& name : staged_) fs::rename(path_ / (name + kStaged), path_ / name);
    RemoveFiles(path_ / "data", [](const fs::path& file) { return file.extension() == kStaged; });
  } catch (const fs::filesystem_error& e) {
    Fail("{}: {}", e.path1().string(), e.code().message());
  }
  restart_ = false;
  staged_.clear();
  WriteFileAtomically(path_ / kConfig, config.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

void SaveTrainerState(const fs::path& dir, const TrainerState& state) {
  const auto n = static_cast<int64_t>(state.weights.size());
  SafetensorsWriter writer(
      dir / kState, {{"weights", DType::kF32, {n}}, {"m", DType::kF32, {n}}, {"v", DType::kF32, {n}}},
      {{"format", "kinetok-trainer"}, {"step", std::to_string(state.step)}, {"loss", fmt::format("{}", state.loss)}});
  for (const auto& [name, values] :
       {std::pair<const char*, std::span<const float>>{"weights", state.weights}, {"m", state.m}, {"v", state.v}}) {
    for (int64_t i = 0; i < n; i += kPieceFloats) {
      const auto count = static_cast<size_t>(std::min(kPieceFloats, n - i));
      writer.Write(name, values.subspan(static_cast<size_t>(i), count));
    }
  }
  writer.Commit();
}

void LoadTrainerState(const fs::path& dir, TrainerState& state) {
  const SafetensorsFile file(dir / kState);
  for (const auto& [name, values] :
       {std::pair<const char*, std::span<float>>{"weights", state.weights}, {"m", state.m}, {"v", state.v}}) {
    const TensorInfo* info = file.Find(name);
    const auto expected = static_cast<int64_t>(values.size());
    if (info == nullptr || info->dtype != "F32" || info->elements() != expected) {
      Fail("{}: tensor \"{}\" is missing or has {} elements, expected {} of F32", file.path().string(), name,
           info == nullptr ? 0 : info->elements(), expected);
    }
    TensorData{info, &file}.LoadF32(0, values);
    file.Drop(*info);
  }
  state.step = ReadMetadata<int64_t>(file, "step");
  state.loss = ReadMetadata<double>(file, "loss");
}

RunLog::RunLog(fs::path path, int64_t last_step) : path_(std::move(path)) {
  std::string kept;
  std::error_code error;
  if (last_step >= 0 && fs::exists(path_, error)) {
    const std::string text = ReadFile(path_);
    for (size_t line = 0; line < text.size();) {
      const size_t newline = text.find('\n', line);
      if (newline == std::string::npos) break;  // a killed process wrote half of it
      const std::string_view content = std::string_view(text).substr(line, newline - line);
      const std::optional<LogLine> parsed = ParseLogLine(content);
      if (!parsed) break;
      if (parsed->step <= last_step) {
        kept.append(content).push_back('\n');
        if (parsed->is_sample) last_sample_ = parsed->step;
      }
      line = newline + 1;
    }
  }
  WriteFileAtomically(path_, kept);
  fd_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) Fail("{}: cannot be opened: {}", path_.string(), std::strerror(errno));
}

RunLog::~RunLog() {
  if (fd_ >= 0) close(fd_);
}

void RunLog::Append(const OrderedJson& line) {
  const std::string text = line.dump() + "\n";
  if (line.contains("sample")) last_sample_ = line.at("step").get<int64_t>();
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail("{}: cannot be written: {}", path_.string(), std::strerror(errno));
    done += static_cast<size_t>(n);
  }
}

void RunLog::Sync() {
  if (fsync(fd_) != 0) Fail("{}: cannot be written to disk: {}", path_.string(), std::strerror(errno));
}

LossCurve ReadLossCurve(const fs::path& log) {
  LossCurve curve;
  const std::string text = ReadFile(log);
  for (size_t line = 0; line < text.size();) {
    const size_t newline = std::min(text.find('\n', line), text.size());
    const Json json = ParseJson(std::string_view(text).substr(line, newline - line), log.string());
    const JsonObject object(json, log.string());
    if (object.Has("loss")) {
      curve.steps.push_back(object.Number("step"));
      curve.losses.push_back(object.Number("loss"));
    }
    if (object.Has("val_loss")) {
      curve.validation_steps.push_back(object.Number("step"));
      curve.validation_losses.push_back(object.Number("val_loss"));
    }
    line = newline + 1;
  }
  return curve;
}

}  // namespace kinetok
