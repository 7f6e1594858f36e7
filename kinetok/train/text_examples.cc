#include "kinetok/train/text_examples.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

Example Window(const TokenRange& range, int64_t offset, int64_t length) {
  Example example;
  example.tokens.resize(static_cast<size_t>(length) + 1);
  range.Read(offset, example.tokens);
  example.labels.assign(example.tokens.begin() + 1, example.tokens.end());
  example.tokens.pop_back();
  return example;
}

void CheckTokens(const TokenRange& range, int64_t vocab_size, std::string_view name) {
  std::vector<int32_t> ids(1 << 16);
  for (int64_t first = 0; first < range.size; first += static_cast<int64_t>(ids.size())) {
    const std::span<int32_t> part(
        ids.data(), static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(ids.size()), range.size - first)));
    range.Read(first, part);
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] < 0 || part[i] >= vocab_size) {
        Fail("{} data: token {} is {}, expected one in [0, {}), the model's vocab_size", name,
             first + static_cast<int64_t>(i), part[i], vocab_size);
      }
    }
  }
}

OrderedJson DescribeRange(const TokenRange& range) {
  if (range.size == 0) return nullptr;
  return {{"sha256", range.file->about().value("sha256", "")}, {"first", range.first}, {"tokens", range.size}};
}

}  // namespace

TextExamples::TextExamples(DataSplit data, int64_t block_size) : data_(std::move(data)), block_size_(block_size) {
  if (block_size < 1) Fail("block_size is {}; it must be at least 1", block_size);
}

Example TextExamples::Draw(uint64_t seed, uint64_t index) const {
  return Window(data_.train, SampleOffset(seed, index, data_.train.size, block_size_), block_size_);
}

int64_t TextExamples::held_out() const {
  return data_.validation.size == 0 ? 0 : CeilDiv(data_.validation.size - 1, block_size_);
}

Example TextExamples::HeldOut(int64_t index) const {
  const int64_t first = index * block_size_;
  return Window(data_.validation, first, std::min(block_size_, data_.validation.size - 1 - first));
}

void TextExamples::Check(int64_t vocab_size) const {
  if (data_.train.size <= block_size_) {
    Fail(
        "training data: has {} tokens, a block of {} (block-size) needs at least {}; give more text or a shorter block",
        data_.train.size, block_size_, block_size_ + 1);
  }
  if (data_.validation.size == 1) {
    Fail("validation data: has 1 token, expected at least 2; give more text or another val-fraction");
  }
  CheckTokens(data_.train, vocab_size, "training");
  CheckTokens(data_.validation, vocab_size, "validation");
}

std::string TextExamples::Summary() const {
  return fmt::format("{} training tokens, {} validation tokens", data_.train.size, data_.validation.size);
}

OrderedJson TextExamples::Describe() const {
  return DescribeRange(data_.train);
}

OrderedJson TextExamples::DescribeHeldOut() const {
  return DescribeRange(data_.validation);
}

}  // namespace kinetok
