// Checkpoints of golden tests: the published directory that a case describes, with the counter-based weights of
// tools/golden/make_golden.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/random.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {

inline Json ReadGolden(const std::string& name) {
  const std::filesystem::path file = std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden" / name;
  return ParseJson(ReadFile(file), file.string());
}

inline bool IsNormWeight(std::string_view name) {
  return name.ends_with(".ln_1.weight") || name.ends_with(".ln_2.weight") || name.ends_with(".ln_f.weight") ||
         name.ends_with("norm.weight");
}

inline std::vector<float> DrawWeights(uint64_t seed, uint32_t number, std::string_view name, int64_t elements) {
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) {
    const uint32_t word = RandomBits(seed, RandomStream::kTest, number, static_cast<uint64_t>(i))[0];
    const float u = static_cast<float>(word >> 12) * 0x1p-20f - 0.5f;
    values.push_back(u / 4 + (IsNormWeight(name) ? 1.0f : 0.0f));
  }
  return values;
}

// `golden` holds "config", "seed" and "tensors" [[name, shape]].
inline void WriteGoldenCheckpoint(const Json& golden, const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir);
  WriteFileAtomically(dir / "config.json", golden.at("config").dump());
  std::vector<TensorSpec> specs;
  std::map<std::string, uint32_t> numbers;
  for (const Json& t : golden.at("tensors")) {
    numbers[t.at(0)] = static_cast<uint32_t>(specs.size());
    specs.push_back({t.at(0), DType::kF32, t.at(1)});
  }
  SafetensorsWriter writer(dir / "model.safetensors", specs);
  for (const TensorSpec& t : writer.tensors()) {
    int64_t elements = 1;
    for (const int64_t d : t.shape) elements *= d;
    writer.Write(t.name, DrawWeights(golden.at("seed"), numbers.at(t.name), t.name, elements));
  }
  writer.Commit();
}

}  // namespace kinetok
