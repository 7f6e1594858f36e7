// What the readers of config.json share: limits, and fields with a meaning. Errors name the file, the field, the value
// and what was expected. Internal to model/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kinetok/base/json.h"
#include "kinetok/kernels/activation.h"
#include "kinetok/model/config.h"

namespace kinetok {

inline constexpr int64_t kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 4096, kMaxContext = 1 << 24,
                         kMaxHeads = 4096, kMaxTokenTypes = 1 << 16;

struct ActivationName {
  std::string_view name;
  Activation activation;
};
// As transformers' ACT2FN names them.
inline constexpr ActivationName kActivationNames[] = {
    {"gelu_new", Activation::kGeluTanh},  {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh}, {"gelu", Activation::kGeluErf},
    {"silu", Activation::kSilu},          {"swish", Activation::kSilu}};

// The activation that the field names; `fallback` is a name too. The first name of an activation is the one written.
Activation ParseActivation(const JsonObject& o, std::string_view key, std::string fallback,
                           std::span<const ActivationName> names = kActivationNames);
std::string_view NameOfActivation(Activation activation, std::span<const ActivationName> names = kActivationNames);

// Fields that would change the result: only `supported` (or absence) is accepted; or none at all.
void RequireBool(const JsonObject& o, std::string_view key, bool supported);
void RefuseField(const JsonObject& o, std::string_view key);

double Probability(const JsonObject& o, std::string_view key, double fallback);  // 0 <= p < 1
double Positive(const JsonObject& o, std::string_view key, double fallback);

// vocab_size, width, layers, heads (as many KV heads) and the head_dim that follows, under the names of the format.
struct SizeNames {
  std::string_view width, layers, heads;
};
void ParseSizes(const JsonObject& o, const SizeNames& names, ModelConfig* c);

}  // namespace kinetok
