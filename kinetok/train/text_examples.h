// Windows of tokenised text as training examples: every position predicts the next token.
#pragma once

#include <cstdint>

#include "kinetok/io/example.h"
#include "kinetok/train/dataset.h"

namespace kinetok {

class TextExamples : public ExampleSource {
 public:
  // `block_size` tokens an example. `data.validation` may be empty.
  TextExamples(DataSplit data, int64_t block_size);

  Example Draw(uint64_t seed, uint64_t index) const override;  // at SampleOffset
  int64_t examples() const override { return data_.train.size / block_size_; }
  int64_t held_out() const override;  // consecutive blocks, the last one shorter
  Example HeldOut(int64_t index) const override;
  int64_t max_length() const override { return block_size_; }
  bool has_images() const override { return false; }
  void Check(int64_t vocab_size) const override;  // also that there are more tokens than a block has
  std::string Summary() const override;
  OrderedJson Describe() const override;
  OrderedJson DescribeHeldOut() const override;

 private:
  DataSplit data_;
  int64_t block_size_;
};

}  // namespace kinetok
