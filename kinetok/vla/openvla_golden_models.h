// The models of tests/golden/openvla.json and openvla_policy.json: directories in OpenVLA's layout whose weights need
// no file (tools/golden/make_openvla_golden.py drew the same and says how).
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/model/golden_models.h"
#include "kinetok/vla/action_tokenizer.h"

namespace kinetok {

// Tensor `number` of a case, before it is rounded to the case's dtype.
inline std::vector<float> DrawOpenVla(const Json& golden, uint32_t number, const std::string& name,
                                      const std::vector<int64_t>& shape) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](auto e) { return name.ends_with(e); });
  };
  const bool one = ends({"scale_factor", "norm.weight", "norm1.weight", "norm2.weight", "layernorm.weight"});
  float scale = name.find("projector") != std::string::npos ? 1.0f : 0.5f;
  if (ends({"pos_embed", "cls_token", "reg_token"})) scale = 0.25f;
  if (one) scale = 0.5f;
  const uint64_t seed = golden.at("seed");
  const float head_gain = golden.value("head_gain", 1.25f);
  const int64_t end = golden.at("vocab_end"), begin = end - ActionTokenizer::kBins;
  int64_t elements = 1;
  for (const int64_t d : shape) elements *= d;
  std::vector<float> v(static_cast<size_t>(elements));
  for (int64_t i = 0; i < elements; ++i) {
    v[i] = DrawGolden(seed, number, static_cast<uint64_t>(i)) * scale + (one ? 1.0f : 0.0f);
    const int64_t row = i / shape.back();
    if (name.ends_with("lm_head.weight") && row >= begin && row < end) v[i] *= head_gain;
  }
  return v;
}

inline void WriteOpenVla(const Json& golden, const std::filesystem::path& dir) {
  WriteDrawnCheckpoint(golden, dir, [&](uint32_t number, const std::string& name, const auto& shape) {
    return DrawOpenVla(golden, number, name, shape);
  });
}

// The largest difference of a row from what a golden file keeps of it: evenly spaced numbers, from place `first` on.
inline double DifferenceFromKept(const float* row, int64_t width, int64_t first, const Json& kept) {
  double worst = 0;
  const auto n = static_cast<int64_t>(kept.size());
  for (int64_t i = 0; i < n; ++i) {
    worst = std::max(worst, std::abs(row[(i * width / n + first) % width] - kept.at(i).get<double>()));
  }
  return worst;
}

// What is chosen without a constraint: of all tokens, those that are no actions and the different ones that are.
struct Choices {
  int64_t tokens = 0, other = 0;
  std::vector<bool> seen = std::vector<bool>(ActionTokenizer::kBins);

  void Count(const Json& ids, int64_t vocab_end) {
    const ActionTokenizer actions(vocab_end);
    for (const int32_t id : ids) {
      ++tokens;
      if (actions.IsAction(id)) {
        seen[static_cast<size_t>(id - actions.first_id())] = true;
      } else {
        ++other;
      }
    }
  }
  int64_t different() const { return std::count(seen.begin(), seen.end(), true); }
};

}  // namespace kinetok
