// A policy for tests: small, with random weights, a tokenizer of its own and an image to look at.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/image.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/test_models.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/vla/action_tokenizer.h"
#include "kinetok/vla/image_config.h"

namespace kinetok {

// A folder in OpenVLA's layout that lives as long as this object. Its actions have three dimensions, its statistics
// are of one data set, "toy".
struct TestPolicy {
  TestPolicy() {
    constexpr int64_t kTextIds = 257, kPadding = 64;
    config = TestVisionModel().config;
    config.vocab_size = kTextIds + ActionTokenizer::kBins + kPadding;
    config.eos_token_ids = {256};
    config.bos_token_id = 256;
    for (ModelConfig& t : config.towers) {  // one size for both, as preprocessor_config.json has it
      t.patches->image_size = 16;
      t.patches->patch_size = 4;
    }
    config.carried = {{"pad_to_multiple_of", kPadding},
                      {"n_action_bins", ActionTokenizer::kBins},
                      {"kinetok_vla", {{"separator_token_id", 32}}},
                      {"norm_stats", {{"toy", Statistics({-1, -2, 0}, {1, 2, 1})}}}};
    pixels.resize(20 * 14 * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i * 7 % 251);
    BytesBpeTrainer trainer({.vocab_size = kTextIds});
    trainer.Add("a");
    SaveCheckpoint(dir, config, DrawParameters(ParameterList(config), 4), trainer.Train().get(), DType::kF32);
    WriteFileAtomically(dir / "preprocessor_config.json", ImageProcessorConfigToJson(OpenVlaImages(16)).dump());
  }
  ~TestPolicy() { std::filesystem::remove_all(dir); }
  TestPolicy(const TestPolicy&) = delete;
  TestPolicy& operator=(const TestPolicy&) = delete;

  static Json Statistics(const std::vector<double>& q01, const std::vector<double>& q99) {
    return {{"action", {{"q01", q01}, {"q99", q99}}}};
  }
  ImageView View() const { return {pixels.data(), 20, 14, 60, ChannelOrder::kRgb}; }

  static inline std::atomic<int> made = 0;
  std::filesystem::path dir =
      std::filesystem::temp_directory_path() / fmt::format("kinetok_policy_{}_{}", getpid(), made++);
  ModelConfig config;
  std::vector<uint8_t> pixels;
};

}  // namespace kinetok
