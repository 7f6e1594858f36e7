#include "kinetok/train/completion_examples.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "kinetok/base/error.h"
#include "kinetok/base/sha256.h"
#include "kinetok/vla/image_prompt.h"

namespace kinetok {
namespace {

constexpr int64_t kHashedPictures = 16;

// "FILE.hdf5:demo_3:17"
struct StepReference {
  std::string file, demonstration;
  int64_t step;
};

std::optional<StepReference> ParseStep(const std::string& reference) {
  const size_t second = reference.rfind(':');
  const size_t first =
      second == std::string::npos || second == 0 ? std::string::npos : reference.rfind(':', second - 1);
  if (first == std::string::npos) return std::nullopt;
  StepReference r{reference.substr(0, first), reference.substr(first + 1, second - first - 1), 0};
  const char* end = reference.data() + reference.size();
  const auto [at, fault] = std::from_chars(reference.data() + second + 1, end, r.step);
  if (fault != std::errc() || at != end || r.step < 0) return std::nullopt;
  return r;
}

}  // namespace

CompletionExamples::CompletionExamples(const std::filesystem::path& file, std::shared_ptr<const Tokenizer> tokenizer,
                                       const ImageProcessor* images, int64_t patches, const CompletionOptions& options)
    : file_(file), tokenizer_(std::move(tokenizer)), eos_(options.eos), patches_(patches) {
  if (!(options.held_out >= 0 && options.held_out < 1)) {
    Fail("held_out is {}; it must be at least 0 and below 1", options.held_out);
  }
  if (images != nullptr) images_ = std::make_shared<ImageProcessor>(*images);
  DemonstrationFiles own;
  DemonstrationFiles& demonstrations = options.demonstrations != nullptr ? *options.demonstrations : own;
  const std::string_view text(reinterpret_cast<const char*>(file_.bytes().data()), file_.size());
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    const std::string_view line = text.substr(at, end - at);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      lines_.push_back({at, end - at, number});
      const std::string source = fmt::format("{}: line {}", file.string(), number);
      const Json json = ParseJson(line, source);
      const JsonObject object(json, source);
      if (object.Has("image")) {
        if (images_ == nullptr) Fail("{}: has an image, the model sees none", source);
        has_images_ = true;
        const std::string reference = object.String("image");
        if (const auto step = ParseStep(reference)) {
          auto& opened = demonstrations_[step->file];
          if (!opened) opened = demonstrations.Open(file.parent_path() / step->file);
          const DemonstrationFile& demos = *opened;
          const int64_t demo = demos.Find(step->demonstration);
          if (demo < 0 || step->step >= demos.demonstrations()[demo].steps) {
            Fail("{}: field \"image\" is \"{}\", which {} does not hold", source, reference, demos.path().string());
          }
        } else if (!std::filesystem::exists(file.parent_path() / reference)) {
          Fail("{}: field \"image\" is \"{}\", which does not exist", source, reference);
        }
      }
      const Example example = Make(lines_.back(), false);
      max_length_ = std::max(max_length_, static_cast<int64_t>(example.tokens.size()));
      for (const auto* ids : {&example.tokens, &example.labels}) {
        for (const int32_t id : *ids) largest_token_ = std::max(largest_token_, id);
      }
    }
    at = end + 1;
  }
  const auto count = static_cast<int64_t>(lines_.size());
  training_ = count - static_cast<int64_t>(static_cast<double>(count) * options.held_out);
  if (training_ == 0)
    Fail("{}: has no lines to train on; expected JSON lines with prompt and completion", file.string());
}

Image CompletionExamples::ReadReference(const std::string& reference, const std::string& source) const {
  if (const auto step = ParseStep(reference)) {
    const DemonstrationFile& demos = *demonstrations_.at(step->file);
    return images_->AsCamera(demos.ReadImage(demos.Find(step->demonstration), step->step));
  }
  try {
    return ReadImage(file_.path().parent_path() / reference);
  } catch (const Error& e) {
    Fail("{}: {}", source, e.what());
  }
}

void CompletionExamples::LabelPatches(const JsonObject& line, bool seen, Example& example) const {
  const Json& words = line.Array("patches");
  if (!seen) Fail("field \"patches\" needs an \"image\"");
  if (static_cast<int64_t>(words.size()) != patches_) {
    Fail("field \"patches\" has {} words; expected {}, one for each patch of the image", words.size(), patches_);
  }
  size_t patch = 0;
  for (size_t i = 0; i < example.labels.size() && patch < words.size(); ++i) {
    if (example.tokens[i] != Example::kPatch) continue;
    const Json& word_json = words[patch++];
    if (!word_json.is_string()) Fail("field \"patches\" holds {}; expected words", Shorten(word_json));
    const auto word = word_json.get<std::string>();
    if (!word.empty()) example.labels[i] = tokenizer_->Encode(" " + word, {.parse_special = false}).back();
  }
}

Example CompletionExamples::Make(const Line& line, bool with_pixels) const {
  const std::string source = fmt::format("{}: line {}", file_.path().string(), line.number);
  const std::string_view text(reinterpret_cast<const char*>(file_.bytes().data()) + line.offset, line.size);
  const Json json = ParseJson(text, source);
  const JsonObject object(json, source);
  const std::string completion = object.String("completion");
  if (completion.empty()) Fail("{}: field \"completion\" is empty, expected what the model is to say", source);
  const bool seen = object.Has("image");
  Example example;
  try {
    example.tokens = PromptTokens(*tokenizer_, object.String("prompt"), seen ? patches_ : 0);
    const std::vector<int32_t> answer = tokenizer_->Encode(completion, {.parse_special = false});
    example.labels.assign(example.tokens.size() - 1, Example::kNoLabel);
    if (object.Has("patches")) LabelPatches(object, seen, example);
    example.tokens.insert(example.tokens.end(), answer.begin(), answer.end());
    example.labels.insert(example.labels.end(), answer.begin(), answer.end());
    example.labels.push_back(eos_);
  } catch (const Error& e) {
    Fail("{}: {}", source, e.what());
  }
  if (seen && with_pixels) {
    const Image image = ReadReference(object.String("image"), source);
    example.pixels = images_->Process(image.view());
  }
  return example;
}

Example CompletionExamples::Draw(uint64_t seed, uint64_t index) const {
  return Make(lines_[static_cast<size_t>(ShuffledIndex(seed, index, training_))], true);
}

Example CompletionExamples::HeldOut(int64_t index) const {
  return Make(lines_.at(static_cast<size_t>(training_ + index)), true);
}

void CompletionExamples::Check(int64_t vocab_size) const {
  if (largest_token_ >= vocab_size) {
    Fail("{}: token {} is outside the vocabulary of {}", file_.path().string(), largest_token_, vocab_size);
  }
}

std::string CompletionExamples::Summary() const {
  return fmt::format("{} completions, {} held out", training_, held_out());
}

OrderedJson CompletionExamples::DescribeLines(int64_t first, int64_t last) const {
  if (first == last) return nullptr;
  Sha256 hash, pictures;
  for (int64_t i = first; i < last; ++i) hash.Update(file_.bytes().subspan(lines_[i].offset, lines_[i].size));
  OrderedJson json = {{"kind", "completions"}, {"sha256", hash.Hex()}, {"lines", last - first}};
  if (!has_images_) return json;
  const int64_t some = std::min(last - first, kHashedPictures);  // all of them would take longer than many a run
  for (int64_t i = 0; i < some; ++i) {
    const Example example = Make(lines_[first + i * (last - first) / some], true);
    pictures.Update(std::as_bytes(std::span(example.pixels)));
  }
  json["pictures"] = pictures.Hex();
  return json;
}

OrderedJson CompletionExamples::Describe() const {
  OrderedJson json = DescribeLines(0, training_);
  if (has_images_ && images_->config().preset != ImagePreset::kServer) {
    json["image_preset"] = ImagePresetToJson(images_->config());
  }
  return json;
}

OrderedJson CompletionExamples::DescribeHeldOut() const {
  return DescribeLines(training_, static_cast<int64_t>(lines_.size()));
}

}  // namespace kinetok
