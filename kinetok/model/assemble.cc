#include "kinetok/model/assemble.h"

#include <map>
#include <string>

#include "kinetok/base/error.h"
#include "kinetok/model/checkpoint.h"

namespace kinetok {
namespace {

constexpr std::string_view kDecoderPrefix = "language_model.";  // of an OpenVLA checkpoint's names

void CheckSameDecoder(const std::filesystem::path& path, const ModelConfig& text, const ModelConfig& whole) {
  const auto same = [&](std::string_view field, auto of_text, auto of_whole) {
    if (of_text != of_whole) {
      Fail("{}: {} is {}, expected {}, as the model's text_config has", path.string(), field, of_text, of_whole);
    }
  };
  same("model_type", text.model_type, std::string("llama"));
  same("hidden_size", text.hidden_size, whole.hidden_size);
  same("num_hidden_layers", text.num_hidden_layers, whole.num_hidden_layers);
  same("num_attention_heads", text.num_attention_heads, whole.num_attention_heads);
  same("num_key_value_heads", text.num_key_value_heads, whole.num_key_value_heads);
  same("intermediate_size", text.intermediate_size, whole.intermediate_size);
  same("rms_norm_eps", text.norm_eps, whole.norm_eps);
  same("rope_theta", text.rope_theta, whole.rope_theta);
  same("tie_word_embeddings", text.tie_word_embeddings, whole.tie_word_embeddings);
  if (text.vocab_size > whole.vocab_size) {
    Fail("{}: vocab_size is {}, expected at most {}, the model's", path.string(), text.vocab_size, whole.vocab_size);
  }
}

}  // namespace

void TakeDecoder(const std::filesystem::path& decoder, const ModelConfig& config, const ParameterList& list,
                 std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  if (config.model_type != "openvla") {
    Fail("a decoder of its own is for models with vision towers (openvla), this one is of type {}", config.model_type);
  }
  const ModelFiles files(decoder);
  CheckSameDecoder(decoder, files.config(), config);
  std::map<std::string, int> parameters;  // of the whole, by published name
  for (const PublishedTensor& t : PublishedTensors(config, list)) parameters[t.name] = t.parameter;
  for (size_t i = 0; i < files.tensors().needed.size(); ++i) {
    const PublishedTensor& t = files.tensors().needed[i];
    const TensorData* data = files.tensors().found[i];
    if (data == nullptr) continue;
    const Parameter& p = list.all[parameters.at(std::string(kDecoderPrefix) + t.name)];
    ReadTensor(*data, t, std::max<int64_t>(1, p.columns), flat.subspan(p.offset, p.elements()));
  }
}

}  // namespace kinetok
