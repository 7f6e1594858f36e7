// What models that read a text whole are for: guessing masked words (Devlin et al. 2019) and describing sentences
// (Reimers and Gurevych 2019, Sentence-BERT).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"

namespace kinetok {

struct MaskPrediction {
  int32_t token = 0;
  std::string piece;  // as the vocabulary writes it: "##ing"
  double probability = 0;
};

struct FilledMask {
  int64_t position = 0;                     // of the mask among the text's tokens, [CLS] included
  std::vector<MaskPrediction> predictions;  // likeliest first, the lower id on a tie
};

// The `top` likeliest tokens for every [MASK] of `text`, in order. Throws Error when the model has no such head or no
// tokenizer with a mask token, or when the text has no mask or is longer than the model's context.
std::vector<FilledMask> FillMask(Context& context, const Model& model, std::string_view text, int64_t top = 5);

enum class Pooling : uint8_t {
  kMean,  // of the last layer's output over all tokens, [CLS] and [SEP] included
  kCls,   // the last layer's output at the first token
};

struct EmbedOptions {
  Pooling pooling = Pooling::kMean;
  bool normalize = false;                  // to length 1
  std::optional<int64_t> max_tokens = {};  // a longer text loses its end, the closing token stays; none: it is an Error

  // As sentence-transformers stores them beside a model: modules.json, 1_Pooling/config.json and
  // sentence_bert_config.json; the defaults when there are none. Throws Error naming file and field for kinds of
  // pooling and modules that are not supported.
  static EmbedOptions Load(const std::filesystem::path& model_dir);
};

// A vector [hidden_size] for each text. The bits of a text's vector depend on that text alone. Throws Error as above.
std::vector<std::vector<float>> EmbedTexts(Context& context, const Model& model, std::span<const std::string> texts,
                                           const EmbedOptions& options = {});

// The cosine of the angle between two vectors of one length, -1 to 1; 0 when one is all zeros.
double CosineSimilarity(std::span<const float> a, std::span<const float> b);

}  // namespace kinetok
