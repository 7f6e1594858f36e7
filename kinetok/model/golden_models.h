// The models of tests/golden/parity.json: configurations and the recipe of their weights, which need no file
// (tools/golden/make_golden.py drew the same and says how).
#pragma once

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/random.h"
#include "kinetok/base/sha256.h"
#include "kinetok/io/safetensors.h"

namespace kinetok {

inline Json ReadGolden(const std::string& name) {
  const std::filesystem::path file = std::filesystem::path(KINETOK_SOURCE_DIR) / "tests/golden" / name;
  return ParseJson(ReadFile(file), file.string());
}

inline const Json& GoldenCases() {
  static const Json cases = ReadGolden("parity.json").at("cases");
  return cases;
}

inline float GoldenScale(std::string_view name) {
  const bool norm = name.find("LayerNorm") != std::string_view::npos;
  if (name.find("positions_embed") != std::string_view::npos) return 1;
  if (name.find("embed") != std::string_view::npos && !norm) return 1.0f / 16;
  return name.ends_with(".wte.weight") || name.ends_with(".wpe.weight") ? 1.0f / 16 : 0.5f;
}

// Element i of tensor `number`: a number in [-0.5, 0.5) with 20 bits.
inline float DrawGolden(uint64_t seed, uint32_t number, uint64_t i) {
  const uint32_t word = RandomBits(seed, RandomStream::kTest, number, i)[0];
  return static_cast<float>(word >> 12) * 0x1p-20f - 0.5f;
}

inline std::vector<float> DrawGolden(uint64_t seed, uint32_t number, std::string_view name, int64_t elements) {
  const bool norm_weight = name.ends_with(".ln_1.weight") || name.ends_with(".ln_2.weight") ||
                           name.ends_with(".ln_f.weight") || name.ends_with("norm.weight") ||
                           name.ends_with("LayerNorm.weight");
  const float scale = GoldenScale(name);
  std::vector<float> values;
  for (int64_t i = 0; i < elements; ++i) {
    values.push_back(DrawGolden(seed, number, static_cast<uint64_t>(i)) * scale + (norm_weight ? 1.0f : 0.0f));
  }
  return values;
}

// Writes the published directory that a case describes ("config", "seed", "tensors" [[name, shape]]) and returns the
// SHA-256 of the tensors' values in the order of the draw, as f32. draw(number, name, shape) gives a tensor's values
// before they are rounded to the case's dtype.
template <class Draw>
std::string WriteDrawnCheckpoint(const Json& golden, const std::filesystem::path& dir, Draw draw) {
  std::filesystem::create_directories(dir);
  WriteFileAtomically(dir / "config.json", golden.at("config").dump());
  const DType dtype = ParseDType(golden.value("dtype", "f32"));
  std::vector<TensorSpec> specs;
  std::map<std::string, std::vector<float>> values;
  Sha256 hash;
  for (const Json& t : golden.at("tensors")) {
    const std::string name = t.at(0);
    const auto number = static_cast<uint32_t>(specs.size());
    specs.push_back({name, dtype, t.at(1)});
    std::vector<float> v = draw(number, name, specs.back().shape);
    for (float& x : v) {
      if (dtype == DType::kF16) x = F16ToF32(F32ToF16(x));
      if (dtype == DType::kBF16) x = BF16ToF32(F32ToBF16(x));
    }
    hash.Update(std::as_bytes(std::span(v)));
    values[name] = std::move(v);
  }
  SafetensorsWriter writer(dir / "model.safetensors", specs);
  for (const TensorSpec& t : writer.tensors()) writer.Write(t.name, values.at(t.name));
  writer.Commit();
  return hash.Hex();
}

// The weights of parity.json; `edit` may change a tensor's values.
template <class Edit>
std::string WriteGoldenCheckpoint(const Json& golden, const std::filesystem::path& dir, Edit edit) {
  return WriteDrawnCheckpoint(golden, dir, [&](uint32_t number, const std::string& name, const auto& shape) {
    int64_t elements = 1;
    for (const int64_t d : shape) elements *= d;
    std::vector<float> v = DrawGolden(golden.at("seed"), number, name, elements);
    edit(name, v);
    return v;
  });
}

inline std::string WriteGoldenCheckpoint(const Json& golden, const std::filesystem::path& dir) {
  return WriteGoldenCheckpoint(golden, dir, [](const std::string&, std::vector<float>&) {});
}

// A case's name as GoogleTest wants it.
inline std::string GoldenTestName(const Json& golden) {
  std::string name = golden.at("name").get<std::string>() + "_" + golden.at("dtype").get<std::string>();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

}  // namespace kinetok
