// What the tests of this room share: the notes' distribution, logits of probabilities, the message of an Error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {

// 고양이, 강아지, 새, 물고기, 자동차.
inline const std::vector<double> kExample = {0.4, 0.3, 0.15, 0.1, 0.05};

// f32 logits of a distribution, as a model gives them.
inline std::vector<float> LogitsOf(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(Log(p)));
  return logits;
}

inline std::string ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace kinetok
