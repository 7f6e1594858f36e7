// Questions with answers as training examples, perhaps about an image: JSON lines {"prompt", "completion", "image"?,
// "patches"?}.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/io/demonstration_files.h"
#include "kinetok/io/example.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/vla/image_processor.h"

namespace kinetok {

struct CompletionOptions {
  double held_out = 0.1;                         // the share of the lines, at the end, that is kept from training
  int32_t eos = 0;                               // what ends a completion
  DemonstrationFiles* demonstrations = nullptr;  // opens files that other sources read too; null: its own
};

class CompletionExamples : public ExampleSource {
 public:
  // `image` of a line is a PNG or JPEG file, or "FILE.hdf5:demo_3:17", a step of a demonstration; paths are relative to
  // the folder of `file`; `options.demonstrations` is asked now alone. Without `images` (a model that sees none) a line
  // with one is an error. Every line is checked now and read again when it is drawn. Throws Error naming file, line and
  // field.
  CompletionExamples(const std::filesystem::path& file, std::shared_ptr<const Tokenizer> tokenizer,
                     const ImageProcessor* images, int64_t patches, const CompletionOptions& options);

  // The loss is of the completion's tokens and the EOS after them alone; with `patches`, a word for each patch of the
  // image (or ""), also of the last token of each word, which the patch itself is to predict: dense captions, from
  // which vision towers without a past learn to see sooner than from answers.
  Example Draw(uint64_t seed, uint64_t index) const override;
  int64_t examples() const override { return training_; }
  int64_t held_out() const override { return static_cast<int64_t>(lines_.size()) - training_; }
  Example HeldOut(int64_t index) const override;
  int64_t max_length() const override { return max_length_; }
  bool has_images() const override { return has_images_; }
  void Check(int64_t vocab_size) const override;
  std::string Summary() const override;
  OrderedJson Describe() const override;
  OrderedJson DescribeHeldOut() const override;

 private:
  struct Line {
    size_t offset, size;
    int64_t number;
  };
  Example Make(const Line& line, bool with_pixels) const;
  void LabelPatches(const JsonObject& line, bool seen, Example& example) const;
  Image ReadReference(const std::string& reference, const std::string& source) const;
  OrderedJson DescribeLines(int64_t first, int64_t last) const;

  MappedFile file_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ImageProcessor> images_;
  int32_t eos_ = 0;
  std::map<std::string, std::shared_ptr<const DemonstrationFile>> demonstrations_;  // as the lines name them
  std::vector<Line> lines_;
  int64_t patches_ = 0, training_ = 0, max_length_ = 0;
  int32_t largest_token_ = 0;
  bool has_images_ = false;
};

}  // namespace kinetok
