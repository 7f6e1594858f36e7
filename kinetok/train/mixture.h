// Several kinds of examples in stated shares.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kinetok/io/example.h"

namespace kinetok {

struct DataShare {
  template <class Source>
  DataShare(std::shared_ptr<Source> s, double w = 1)  // NOLINT(google-explicit-constructor)
      : source(std::move(s)), weight(w) {}
  std::shared_ptr<const ExampleSource> source;
  double weight;  // examples drawn from it, relative to the others
};

// Which source example `index` of a run comes from, and the how manieth of that source it is. Of every block of
// consecutive examples each source gives its share (rounded), in an order drawn from the seed; a single source gives
// its examples one after the other. A block has kMixtureBlock examples, or ten, a hundred ... times as many: the fewest
// with at least one of every source.
struct DrawPlace {
  size_t source;
  uint64_t index;
};
inline constexpr int64_t kMixtureBlock = 1000, kMaxMixtureBlock = 1'000'000'000;

class Mixture {
 public:
  // Throws Error when there is no source, or a weight is not positive and finite, or rounds to no example of the
  // largest block.
  explicit Mixture(std::vector<DataShare> shares);

  const std::vector<DataShare>& shares() const { return shares_; }
  DrawPlace Locate(uint64_t seed, uint64_t index) const;
  Example Read(uint64_t seed, uint64_t index) const;

  int64_t held_out() const;
  int64_t max_length() const;
  bool has_images() const;
  OrderedJson Describe() const;  // of one source its own description, of several a list with their weights
  OrderedJson DescribeHeldOut() const;

 private:
  std::vector<DataShare> shares_;
  int64_t block_ = kMixtureBlock;
  std::vector<int64_t> ends_;  // of each source's part of a block
};

}  // namespace kinetok
