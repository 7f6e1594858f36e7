#include "kinetok/train/mixture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

namespace {

// The end of each source's part of a block of that many examples, up to the first that gets none.
std::vector<int64_t> PartsOf(const std::vector<DataShare>& shares, double sum, int64_t block) {
  std::vector<int64_t> ends;
  double before = 0;
  for (const DataShare& share : shares) {
    before += share.weight;
    const auto end = std::llround(before / sum * static_cast<double>(block));
    if (end == (ends.empty() ? 0 : ends.back())) break;
    ends.push_back(end);
  }
  return ends;
}

}  // namespace

Mixture::Mixture(std::vector<DataShare> shares) : shares_(std::move(shares)) {
  if (shares_.empty()) Fail("there is no training data; expected at least one source");
  double sum = 0;
  for (const DataShare& share : shares_) {
    if (!(share.weight > 0) || !std::isfinite(share.weight)) {
      Fail("the weight of a data source is {} ({}); it must be positive", share.weight, share.source->Summary());
    }
    sum += share.weight;
  }
  // A handful of questions beside thousands gets its share of a larger block; others keep the order of the smallest.
  ends_ = PartsOf(shares_, sum, block_);
  while (ends_.size() < shares_.size()) {
    const DataShare& missed = shares_[ends_.size()];
    if (block_ == kMaxMixtureBlock) {
      Fail("the weight {} of a data source ({}) is less than one example in {}; the weights sum to {}", missed.weight,
           missed.source->Summary(), block_, sum);
    }
    block_ *= 10;
    ends_ = PartsOf(shares_, sum, block_);
  }
}

DrawPlace Mixture::Locate(uint64_t seed, uint64_t index) const {
  if (shares_.size() == 1) return {0, index};
  const int64_t place = ShuffledIndex(seed, index, block_);
  const auto source = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), place) - ends_.begin());
  const int64_t first = source == 0 ? 0 : ends_[source - 1], count = ends_[source] - first;
  const uint64_t before = index / static_cast<uint64_t>(block_);
  return {source, before * static_cast<uint64_t>(count) + static_cast<uint64_t>(place - first)};
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
