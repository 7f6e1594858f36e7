// A policy: a camera's image and an instruction in, a motion out.
//
//   kinetok::Policy policy("models/robot");
//   kinetok::Action a = policy.Act({.data = pixels, .width = 640, .height = 480, .row_stride = 3 * 640},
//                                  "pick up the red block");
//   arm.Move(a.values[0], ...);
//
// The action is the next seven tokens: the loop is the one that continues texts. The same image and instruction give
// the same action on any number of threads, on any instruction set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/decode/engine.h"
#include "kinetok/decode/generate.h"
#include "kinetok/io/image.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"
#include "kinetok/vla/image_encoder.h"
#include "kinetok/vla/policy_config.h"

namespace kinetok {

struct BinProbability {
  int32_t token = 0;  // the likeliest of the bin: the two lowest ids share one
  int bin = 0;
  double probability = 0;  // among the action tokens, of all that mean this bin
};

struct ActionTimings {
  double image_s = 0, vision_s = 0, prefill_s = 0, decode_s = 0;
  double total_s() const { return image_s + vision_s + prefill_s + decode_s; }
};

// One value a dimension in each list.
struct Action {
  std::vector<double> values;  // un-normalised, in `units`
  std::vector<double> normalized;
  std::vector<int32_t> tokens;
  std::vector<int> bins;  // the index of the centre, 0 .. 254
  std::string unnorm_key;
  std::vector<std::string> names, units;
  std::vector<double> probabilities;                      // of the token among the action tokens; 0 for another token
  std::vector<double> entropies;                          // over the action tokens, in nats
  std::vector<std::vector<BinProbability>> alternatives;  // the five likeliest bins, likeliest first
  ActionTimings timings;
};

// What an action was computed from, for those who compare implementations.
struct ActionTrace {
  std::vector<float> pixel_values;    // [3 * towers, image_size, image_size]
  std::vector<float> patch_features;  // [patches, hidden_size], after the projector
  std::vector<float> logits;          // [vocab_size], at the last position of the prompt
};

struct ActOptions {
  std::string unnorm_key = {};  // may be empty when the statistics are of one data set
  bool unconstrained = false;   // any token may come, as in the reference; one that is no action gives the nearest
                                // bin, an end of text too when it is the last; before that it is an Error
  SamplerOptions sampler = {.greedy = true};  // of the tokens; its allowed_tokens are the policy's
  ActionTrace* trace = nullptr;
};

class Policy {
 public:
  // A directory in OpenVLA's layout. Throws Error naming file, field and value.
  explicit Policy(const std::filesystem::path& dir, ContextOptions context = {}, const LoadOptions& load = {});

  // Throws Error when the image, the instruction or the unnorm_key is not usable (CheckRequest), or the model fails.
  // Thread-safe: calls wait for each other, for they share the threads and the memory of one Context.
  Action Act(const ImageView& image, std::string_view instruction, const ActOptions& options = {});

  // Text about an image from the same model: what follows BOS, the image and `prompt` (PromptTokens). Thread-safe too.
  Generation Answer(const ImageView& image, std::string_view prompt, const GenerateOptions& options = {},
                    const TokenCallback& on_token = {});

  // An upright image as this policy's camera would have given it, for Act and Answer (ImageProcessor::AsCamera).
  Image AsCamera(Image upright) const { return eyes_.processor().AsCamera(std::move(upright)); }

  // Throws Error for what Act refuses, and takes none of its time: after it, a failure of Act is not the caller's.
  // Thread-safe, also beside Act.
  void CheckRequest(const ImageView& image, std::string_view instruction, std::string_view unnorm_key) const;

  const Model& model() const { return *model_; }
  const PolicyConfig& config() const { return config_; }
  int threads() const { return context_.threads(); }
  Isa isa() const { return context_.isa(); }

 private:
  std::vector<int32_t> ActionPrompt(std::string_view instruction, int64_t dimensions) const;

  std::mutex mutex_;
  Context context_;
  std::shared_ptr<const Model> model_;
  PolicyConfig config_;
  ImageEncoder eyes_;
  Engine engine_;
};

}  // namespace kinetok
