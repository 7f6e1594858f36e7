#include "kinetok/vla/action_score.h"

#include <cmath>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

std::vector<bool> VaryingDimensions(const ActionStatistics& s) {
  std::vector<bool> varies;
  for (size_t d = 0; d < s.q01.size(); ++d) {
    const bool one_value = !s.min.empty() && !s.max.empty() && s.min[d] == s.max[d];
    varies.push_back(!one_value && !(s.mask[d] && s.q01[d] == s.q99[d]));
  }
  return varies;
}

ActionScore::ActionScore(ActionTokenizer tokenizer, std::vector<bool> varies)
    : tokenizer_(std::move(tokenizer)), varies_(std::move(varies)) {}

void ActionScore::Add(int64_t dimension, int32_t token, int32_t label) {
  KINETOK_CHECK(dimension >= 0);
  const auto d = static_cast<size_t>(dimension);
  if (d >= dimensions_.size()) dimensions_.resize(d + 1);
  const int64_t right = token == label ? 1 : 0;
  const bool varies = d >= varies_.size() || varies_[d];
  for (Hits* hits : {&total_, &dimensions_[d], varies ? &varying_ : nullptr}) {
    if (hits == nullptr) continue;
    ++hits->count;
    hits->right += right;
  }
  distance_ += std::abs(tokenizer_.Decode(token) - tokenizer_.Decode(label));
}

std::vector<double> ActionScore::accuracy_by_dimension() const {
  std::vector<double> out;
  for (const Hits& hits : dimensions_) out.push_back(hits.Accuracy());
  return out;
}

std::optional<double> ActionScore::varying_accuracy() const {
  if (varying_.count == 0) return std::nullopt;
  return varying_.Accuracy();
}

}  // namespace kinetok
