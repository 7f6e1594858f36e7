#include "kinetok/model/config_fields.h"

#include <utility>
#include <vector>

#include "kinetok/base/error.h"

namespace kinetok {

Activation ParseActivation(const JsonObject& o, std::string_view key, std::string fallback,
                           std::span<const ActivationName> names) {
  const std::string name = o.String(key, std::move(fallback));
  std::vector<std::string_view> expected;
  for (const ActivationName& known : names) {
    if (name == known.name) return known.activation;
    expected.push_back(known.name);
  }
  Fail("{}: field \"{}\" is \"{}\", which is not supported; expected {}", o.source(), key, name,
       fmt::join(expected, ", "));
}

std::string_view NameOfActivation(Activation activation, std::span<const ActivationName> names) {
  for (const ActivationName& known : names) {
    if (known.activation == activation) return known.name;
  }
  KINETOK_CHECK(false);
  return "";
}

void RequireBool(const JsonObject& o, std::string_view key, bool supported) {
  if (o.Bool(key, supported) != supported) {
    Fail("{}: field \"{}\" is {}, which is not supported; expected {}", o.source(), key, !supported, supported);
  }
}

void RefuseField(const JsonObject& o, std::string_view key) {
  if (o.Has(key)) Fail("{}: field \"{}\" is {}, which is not supported", o.source(), key, Shorten(o.json().at(key)));
}

double Probability(const JsonObject& o, std::string_view key, double fallback) {
  const double p = o.Number(key, fallback);
  if (!(p >= 0 && p < 1)) Fail("{}: field \"{}\" is {}, expected at least 0 and below 1", o.source(), key, p);
  return p;
}

double Positive(const JsonObject& o, std::string_view key, double fallback) {
  const double v = o.Number(key, fallback);
  if (!(v > 0)) Fail("{}: field \"{}\" is {}, expected a number above 0", o.source(), key, v);
  return v;
}

void ParseSizes(const JsonObject& o, const SizeNames& names, ModelConfig* c) {
  c->vocab_size = o.Int("vocab_size", 1, kMaxVocab);
  c->hidden_size = o.Int(names.width, 1, kMaxWidth);
  c->num_hidden_layers = o.Int(names.layers, 1, kMaxLayers);
  c->num_attention_heads = o.Int(names.heads, 1, kMaxHeads);
  c->num_key_value_heads = c->num_attention_heads;
  if (c->hidden_size % c->num_attention_heads != 0) {
    Fail("{}: field \"{}\" is {}, expected a multiple of {} ({})", o.source(), names.width, c->hidden_size, names.heads,
         c->num_attention_heads);
  }
  c->head_dim = c->hidden_size / c->num_attention_heads;
}

}  // namespace kinetok
