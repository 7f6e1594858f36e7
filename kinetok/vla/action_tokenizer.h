// Actions as tokens: each dimension is one of 256 bins of [-1, 1], and bin i is the i-th id from the end of the
// vocabulary (RT-2, Brohan et al. 2023; OpenVLA's ActionTokenizer).
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok {

class ActionTokenizer {
 public:
  static constexpr int64_t kBins = 256;

  // `vocab_end`: one more than the last action id (32000 for openvla-7b: the padding of the vocabulary lies behind).
  explicit ActionTokenizer(int64_t vocab_end, int64_t bins = kBins);

  // value in [-1, 1], else clipped: i = the number of edges linspace(-1, 1, bins) that are <= value, id = end - i.
  // NaN is an Error.
  int32_t Encode(double value) const;

  // The bin's centre, of which there are bins - 1: the two lowest ids decode alike. Ids that are no actions are clipped
  // to the nearest, as the reference does.
  int Bin(int32_t id) const;  // 0 .. bins - 2
  double Center(int bin) const { return centers_[bin]; }
  double Decode(int32_t id) const { return centers_[Bin(id)]; }

  bool IsAction(int32_t id) const { return id >= first_id() && id < vocab_end_; }
  int32_t first_id() const { return static_cast<int32_t>(vocab_end_ - bins_); }
  int64_t bins() const { return bins_; }
  std::vector<int32_t> ids() const;  // ascending

 private:
  int64_t vocab_end_, bins_;
  std::vector<double> edges_, centers_;
};

}  // namespace kinetok
