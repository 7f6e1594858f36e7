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
constexpr const char* kState = "trainer_state.safetensors";
constexpr int64_t kPieceFloats = 1 << 20;

// AtomicFile's temporary names end like this; under the lock nobody writes them.
bool IsLeftover(const fs::path& file) {
  const std::string name = file.filename().string();
  const size_t at = name.rfind(".tmp");
  return at != std::string::npos && at + 4 < name.size() &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at) + 4, name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

void RemoveLeftovers(const fs::path& dir) {
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    if (entry.is_regular_file() && IsLeftover(entry.path())) fs::remove(entry.path());
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

}  // namespace

RunDirectory::RunDirectory(fs::path path, bool restart) : path_(std::move(path)) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) Fail("{}: cannot be created: {}", path_.string(), error.message());
  try {
    lock_.emplace(path_ / "lock");
  } catch (const Error& e) {
    Fail("{} is in use: {}", path_.string(), e.what());
  }
  try {
    RemoveLeftovers(path_);
    if (restart) {
      for (const char* file : {kState, "log.jsonl"}) fs::remove(path_ / file);
      SyncDirectory(path_);
    } else if (!holds_run() && fs::exists(path_ / "model.safetensors")) {
      Fail("{}: holds a model that is not a training run; choose another --out, or --restart to overwrite it",
           path_.string());
    }
  } catch (const fs::filesystem_error& e) {
    Fail("{}: {}", path_.string(), e.code().message());
  }
}

bool RunDirectory::holds_run() const {
  std::error_code error;
  return fs::exists(path_ / kConfig, error);
}

void RunDirectory::SetConfig(const OrderedJson& config, std::span<const std::string> free_fields) {
  const fs::path file = path_ / kConfig;
  if (holds_run() && SavedStep()) {
    const Json old = ParseJson(ReadFile(file), file.string());
    const JsonObject object(old, file.string());
    const Json now = config;  // compared without the order of its keys
    const auto is_free = [&](const std::string& key) {
      return std::ranges::find(free_fields, key) != free_fields.end();
    };
    const auto show = [](const Json& value, const std::string& key) {
      return value.contains(key) ? Shorten(value[key]) : std::string("absent");
    };
    Json keys = old;
    keys.update(now);
    for (const auto& [key, unused] : keys.items()) {
      if (is_free(key) || (old.contains(key) && now.contains(key) && old[key] == now[key])) continue;
      Fail("{}: {} is {} in this run, now it is {}; give the old value to resume, or --restart to start over",
           file.string(), key, show(old, key), show(now, key));
    }
  }
  WriteFileAtomically(file, config.dump(2) + "\n");
}

std::optional<int64_t> RunDirectory::SavedStep() const {
  std::error_code error;
  if (!fs::exists(path_ / kState, error)) return std::nullopt;
  return ReadMetadata<int64_t>(SafetensorsFile(path_ / kState), "step");
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
      const Json json = ParseJson(content, path_.string());
      if (JsonObject(json, path_.string()).Int("step", 0, INT64_MAX) <= last_step) {
        kept.append(content).push_back('\n');
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
