// How often action tokens are right, in words: finetune and eval say it alike.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

namespace kinetok::cli {

// "61.2% right (45.7% of those that vary)": shares in [0, 1], of all dimensions and of those that are not constant;
// without the second, only the first.
inline std::string AccuracyWords(double accuracy, std::optional<double> varying) {
  return fmt::format("{:.1f}% right{}", 100 * accuracy,
                     varying ? fmt::format(" ({:.1f}% of those that vary)", 100 * *varying) : "");
}

}  // namespace kinetok::cli
