#include "kinetok/train/mixture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

Mixture::Mixture(std::vector<DataShare> shares) : shares_(std::move(shares)) {
  if (shares_.empty()) Fail("there is no training data; expected at least one source");
  double sum = 0, before = 0;
  for (const DataShare& share : shares_) {
    if (!(share.weight > 0) || !std::isfinite(share.weight)) {
      Fail("the weight of a data source is {}; it must be positive", share.weight);
    }
    sum += share.weight;
  }
  int64_t last = 0;
  for (const DataShare& share : shares_) {
    before += share.weight;
    const auto end = std::llround(before / sum * kMixtureBlock);
    if (end == last) {
      Fail("the weight {} of a data source is less than one example in {}; the weights sum to {}", share.weight,
           kMixtureBlock, sum);
    }
    ends_.push_back(last = end);
  }
}

DrawPlace Mixture::Locate(uint64_t seed, uint64_t index) const {
  if (shares_.size() == 1) return {0, index};
  const int64_t place = ShuffledIndex(seed, index, kMixtureBlock);
  const auto source = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), place) - ends_.begin());
  const int64_t first = source == 0 ? 0 : ends_[source - 1], count = ends_[source] - first;
  return {source, index / kMixtureBlock * static_cast<uint64_t>(count) + static_cast<uint64_t>(place - first)};
}

Example Mixture::Read(uint64_t seed, uint64_t index) const {
  const auto [source, own] = Locate(seed, index);
  return shares_[source].source->Draw(seed, own);
}

int64_t Mixture::held_out() const {
  int64_t sum = 0;
  for (const DataShare& share : shares_) sum += share.source->held_out();
  return sum;
}

int64_t Mixture::max_length() const {
  int64_t longest = 0;
  for (const DataShare& share : shares_) longest = std::max(longest, share.source->max_length());
  return longest;
}

bool Mixture::has_images() const {
  return std::any_of(shares_.begin(), shares_.end(), [](const DataShare& s) { return s.source->has_images(); });
}

OrderedJson Mixture::Describe() const {
  if (shares_.size() == 1) return shares_[0].source->Describe();
  OrderedJson list = OrderedJson::array();
  for (const DataShare& share : shares_) {
    OrderedJson entry = share.source->Describe();
    entry["weight"] = share.weight;
    list.push_back(std::move(entry));
  }
  return list;
}

OrderedJson Mixture::DescribeHeldOut() const {
  if (shares_.size() == 1) return shares_[0].source->DescribeHeldOut();
  OrderedJson list = OrderedJson::array();
  for (const DataShare& share : shares_) list.push_back(share.source->DescribeHeldOut());
  return list;
}

}  // namespace kinetok
