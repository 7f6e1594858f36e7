// How near predicted action tokens are to those of demonstrations, counted as OpenVLA's training counts them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kinetok/vla/action_tokenizer.h"
#include "kinetok/vla/statistics.h"

namespace kinetok {

// Of each dimension, whether it has more than one value: neither min == max nor, where it is mapped, q01 == q99.
std::vector<bool> VaryingDimensions(const ActionStatistics& statistics);

class ActionScore {
 public:
  // `varies` as of VaryingDimensions; dimensions behind its end do.
  explicit ActionScore(ActionTokenizer tokenizer, std::vector<bool> varies = {});

  // `label` is the action's token in that dimension, `token` any other.
  void Add(int64_t dimension, int32_t token, int32_t label);
  int64_t count() const { return total_.count; }

  // How often the token is the label, in [0, 1]; one of each dimension; and of the dimensions that vary alone, since a
  // constant one is always right and flatters: absent when none of them was added. count() > 0 for all three.
  double accuracy() const { return total_.Accuracy(); }
  std::vector<double> accuracy_by_dimension() const;
  std::optional<double> varying_accuracy() const;
  // The mean distance of what the token decodes to from what the label does, normalised, in [0, 2]. count() > 0.
  double l1() const { return distance_ / static_cast<double>(total_.count); }

 private:
  struct Hits {
    int64_t count = 0, right = 0;
    double Accuracy() const { return static_cast<double>(right) / static_cast<double>(count); }
  };
  ActionTokenizer tokenizer_;
  std::vector<bool> varies_;
  Hits total_, varying_;
  std::vector<Hits> dimensions_;
  double distance_ = 0;
};

}  // namespace kinetok
