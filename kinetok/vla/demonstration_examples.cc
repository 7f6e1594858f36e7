#include "kinetok/vla/demonstration_examples.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kinetok/base/error.h"
#include "kinetok/base/sha256.h"
#include "kinetok/vla/image_prompt.h"

namespace kinetok {
namespace {

constexpr std::ptrdiff_t kHashedPictures = 16;  // of each file

void CheckInstructions(const DemonstrationFile& file) {
  for (const DemonstrationInfo& info : file.demonstrations()) {
    try {
      CheckInstruction(info.instruction);
    } catch (const Error& e) {
      Fail("{}: data/{}: {}", file.path().string(), info.name, e.what());
    }
  }
}

void CheckGripper(const DemonstrationFile& file) {
  constexpr int64_t kDimensions = 7;
  if (file.dimensions() != kDimensions) return;
  double least = 1;
  for (size_t d = 0; d < file.demonstrations().size(); ++d) {
    const std::vector<double>& actions = file.Actions(static_cast<int64_t>(d));
    for (size_t i = kDimensions - 1; i < actions.size(); i += kDimensions) least = std::min(least, actions[i]);
  }
  if (least == 0) {
    Fail(
        "{}: the gripper, the last of seven numbers of an action, is 0 at the least; expected LIBERO's and robomimic's "
        "-1 open and 1 closed",
        file.path().string());
  }
}

}  // namespace

std::vector<double> OpenIsOne(std::span<const double> action) {
  std::vector<double> out(action.begin(), action.end());
  if (out.size() == 7) out[6] = 1 - std::clamp(out[6], 0.0, 1.0);
  return out;
}

void CheckDemonstrations(const DemonstrationFile& file) {
  CheckInstructions(file);
  CheckGripper(file);
}

DemonstrationExamples::DemonstrationExamples(const std::vector<std::filesystem::path>& files, PolicyFormat format,
                                             const DemonstrationOptions& options)
    : format_(std::move(format)), uncropped_(format_.images.WithoutCenterCrop()), options_(options) {
  if (!(options.held_out >= 0 && options.held_out < 1)) {
    Fail("held_out is {}; it must be at least 0 and below 1", options.held_out);
  }
  std::vector<double> actions;  // of the training steps
  for (const std::filesystem::path& path : files) {
    files_.emplace_back(path, options.camera);
    const DemonstrationFile& file = files_.back();
    CheckDemonstrations(file);
    const int64_t dimensions = file.dimensions();
    if (dimensions != files_.front().dimensions()) {
      Fail("{}: actions have {} dimensions, those of {} have {}", path.string(), dimensions,
           files_.front().path().string(), files_.front().dimensions());
    }
    const auto count = static_cast<int64_t>(file.demonstrations().size());
    const int64_t kept = count - static_cast<int64_t>(static_cast<double>(count) * options.held_out);
    const int64_t used = options.limit > 0 ? std::min(options.limit, kept) : kept;
    training_demonstrations_ += used;
    held_out_demonstrations_ += count - kept;
    auto& prompts = prompts_.emplace_back();
    for (int64_t d = 0; d < count; ++d) {
      const DemonstrationInfo& info = file.demonstrations()[d];
      prompts.push_back(
          InstructionTokens(*format_.tokenizer, info.instruction, format_.style, format_.separator, format_.patches));
      max_length_ = std::max(max_length_, static_cast<int64_t>(prompts.back().size()) + dimensions);
      if (d >= used && d < kept) continue;
      for (int64_t step = 0; step < info.steps; ++step) {
        (d < kept ? training_ : held_out_)
            .push_back({static_cast<int32_t>(files_.size()) - 1, static_cast<int32_t>(d), static_cast<int32_t>(step)});
        if (d >= kept) continue;
        const auto action = OpenIsOne(std::span(file.Actions(d)).subspan(step * dimensions, dimensions));
        actions.insert(actions.end(), action.begin(), action.end());
      }
    }
  }
  if (training_.empty()) Fail("the demonstrations leave no step to train on; expected at least one file with one");
  statistics_ = ComputeActionStatistics(actions, files_.front().dimensions());
  statistics_.num_trajectories = training_demonstrations_;
}

Example DemonstrationExamples::Make(const Place& place, const Augmentation& augmentation, uint64_t seed,
                                    uint64_t index) const {
  const DemonstrationFile& file = files_[place.file];
  const int64_t dimensions = file.dimensions();
  const auto action =
      OpenIsOne(std::span(file.Actions(place.demonstration)).subspan(place.step * dimensions, dimensions));
  Example example;
  example.tokens = prompts_[place.file][place.demonstration];
  example.labels.assign(example.tokens.size() - 1, Example::kNoLabel);
  for (const double value : statistics_.Normalize(action)) {
    const int32_t token = format_.actions.Encode(value);
    example.labels.push_back(token);
    example.tokens.push_back(token);
  }
  example.labels.push_back(format_.eos);

  const Image image = format_.images.AsCamera(file.ReadImage(place.demonstration, place.step));
  Image resized = (augmentation.crop_area > 0 ? uncropped_ : format_.images).Resize(image.view());
  if (augmentation != Augmentation{}) resized = Augment(resized, augmentation, seed, index);
  example.pixels.resize(static_cast<size_t>(format_.images.values()));
  format_.images.Normalize(resized, example.pixels);
  return example;
}

Example DemonstrationExamples::Draw(uint64_t seed, uint64_t index) const {
  const int64_t at = ShuffledIndex(seed, index, examples());
  return Make(training_[static_cast<size_t>(at)], options_.augmentation, seed, index);
}

Example DemonstrationExamples::HeldOut(int64_t index) const {
  return Make(held_out_.at(static_cast<size_t>(index)), {}, 0, 0);
}

void DemonstrationExamples::Check(int64_t vocab_size) const {
  for (const auto& of_file : prompts_) {
    for (const auto& prompt : of_file) {
      for (const int32_t id : prompt) {
        if (id >= vocab_size) Fail("demonstrations: token {} is outside the vocabulary of {}", id, vocab_size);
      }
    }
  }
}

std::string DemonstrationExamples::Summary() const {
  return fmt::format("{} steps of {} demonstrations, {} steps of {} held out", training_.size(),
                     training_demonstrations_, held_out_.size(), held_out_demonstrations_);
}

// The actions' bits and some images of each file stand for the files: hashing every image would take longer than many a
// run.
OrderedJson DemonstrationExamples::DescribePlaces(const std::vector<Place>& places) const {
  if (places.empty()) return nullptr;
  Sha256 hash, pictures;
  for (auto first = places.begin(); first != places.end();) {
    const auto last = std::find_if(first, places.end(), [&](const Place& p) { return p.file != first->file; });
    const std::ptrdiff_t count = last - first, some = std::min<std::ptrdiff_t>(count, kHashedPictures);
    for (std::ptrdiff_t i = 0; i < some; ++i) {
      const Place& p = first[i * count / some];
      const Image image = files_[p.file].ReadImage(p.demonstration, p.step);
      pictures.Update(std::as_bytes(std::span(image.pixels)));
    }
    first = last;
  }
  for (const Place& p : places) {
    const DemonstrationFile& file = files_[p.file];
    const int64_t dimensions = file.dimensions();
    const auto action = std::span(file.Actions(p.demonstration)).subspan(p.step * dimensions, dimensions);
    hash.Update(std::as_bytes(action));
    hash.Update(std::as_bytes(std::span(prompts_[p.file][p.demonstration])));
  }
  return {{"kind", "demonstrations"}, {"sha256", hash.Hex()}, {"pictures", pictures.Hex()}, {"steps", places.size()}};
}

OrderedJson DemonstrationExamples::Describe() const {
  OrderedJson json = DescribePlaces(training_);
  const Augmentation& a = options_.augmentation;
  if (format_.images.config().preset != ImagePreset::kServer) {
    json["image_preset"] = ImagePresetToJson(format_.images.config());
  }
  json["augmentation"] = {a.crop_area, a.brightness, a.contrast, a.saturation, a.hue};
  return json;
}

OrderedJson DemonstrationExamples::DescribeHeldOut() const {
  return DescribePlaces(held_out_);
}

}  // namespace kinetok
