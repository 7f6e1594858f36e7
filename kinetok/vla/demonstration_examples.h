// Demonstrations as training examples: at each step an image, the instruction, and the action that was taken, as
// tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kinetok/io/demonstrations.h"
#include "kinetok/io/example.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/vla/action_tokenizer.h"
#include "kinetok/vla/augment.h"
#include "kinetok/vla/image_processor.h"
#include "kinetok/vla/instruction.h"
#include "kinetok/vla/statistics.h"

namespace kinetok {

// How a model reads images and instructions and writes actions: what its directory says (PolicyConfig).
struct PolicyFormat {
  std::shared_ptr<const Tokenizer> tokenizer;
  ActionTokenizer actions;
  int32_t separator = 0;
  InstructionStyle style = InstructionStyle::kOpenVla;
  int32_t eos = 0;
  int64_t patches = 0;  // of an image
  ImageProcessor images;
};

struct DemonstrationOptions {
  double held_out = 0.1;  // the share of each file's demonstrations, at its end, that is kept from training
  int64_t limit = 0;      // only the first so many of the training demonstrations of each file; 0: all
  Augmentation augmentation{};
  std::string camera{kDefaultCamera};
};

// The action of a step as a robot's user means it: LIBERO's and robomimic's gripper, the last of seven numbers, is -1
// open and 1 closed, and becomes 1 open and 0 closed (as OpenVLA's data does); everything else stays.
std::vector<double> OpenIsOne(std::span<const double> action);
// Throws Error naming file and demonstration for an instruction that CheckInstruction refuses, and for a file whose
// gripper is 0 at the least: open at 1 and closed at 0 already, it would be turned round.
void CheckDemonstrations(const DemonstrationFile& file);

class DemonstrationExamples : public ExampleSource {
 public:
  // Opens the files and reads their actions; images are read when they are drawn. Statistics are of the training
  // demonstrations. Throws Error naming the file, also when the files' actions have different dimensions.
  DemonstrationExamples(const std::vector<std::filesystem::path>& files, PolicyFormat format,
                        const DemonstrationOptions& options);

  const ActionStatistics& statistics() const { return statistics_; }

  Example Draw(uint64_t seed, uint64_t index) const override;
  int64_t examples() const override { return static_cast<int64_t>(training_.size()); }
  int64_t held_out() const override { return static_cast<int64_t>(held_out_.size()); }
  Example HeldOut(int64_t index) const override;
  int64_t max_length() const override { return max_length_; }
  bool has_images() const override { return true; }
  void Check(int64_t vocab_size) const override;
  std::string Summary() const override;
  OrderedJson Describe() const override;
  OrderedJson DescribeHeldOut() const override;

 private:
  struct Place {
    int32_t file, demonstration, step;
  };
  Example Make(const Place& place, const Augmentation& augmentation, uint64_t seed, uint64_t index) const;
  OrderedJson DescribePlaces(const std::vector<Place>& places) const;

  std::vector<DemonstrationFile> files_;
  PolicyFormat format_;
  ImageProcessor uncropped_;  // for random crops, which stand in for the centre crop
  DemonstrationOptions options_;
  std::vector<std::vector<std::vector<int32_t>>> prompts_;  // by file and demonstration, patches included
  std::vector<Place> training_, held_out_;
  int64_t training_demonstrations_ = 0, held_out_demonstrations_ = 0, max_length_ = 0;
  ActionStatistics statistics_;
};

}  // namespace kinetok
