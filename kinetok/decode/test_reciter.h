// A model whose text is known: it recites.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "kinetok/model/model.h"
#include "kinetok/model/presets.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {

// The bytes follow each other as in this text, in which no byte appears twice; its last one is followed by the end.
inline constexpr std::string_view kScript = "to b한!-xyz";

// A model that recites: every token's embedding is a unit vector of its own, the layers add nothing, and the head maps
// it to the token that follows.
inline std::shared_ptr<const Model> Reciter(Context& context, const std::shared_ptr<const Tokenizer>& tokenizer) {
  ModelConfig config = Preset("tiny");
  config.vocab_size = tokenizer->vocab_size();
  config.hidden_size = 272;
  config.head_dim = 68;
  config.intermediate_size = 16;
  config.tie_word_embeddings = false;
  config.eos_token_ids = {*tokenizer->eos_id()};
  const ParameterList list(config);
  std::vector<float> flat(static_cast<size_t>(list.elements));
  for (const Parameter& p : list.all) {
    if (p.init == Parameter::Init::kOne) std::fill_n(flat.begin() + p.offset, p.elements(), 1.0f);
  }
  const auto element = [&](int parameter, int64_t row, int64_t column) -> float& {
    return flat[static_cast<size_t>(list.all[static_cast<size_t>(parameter)].offset + row * config.hidden_size +
                                    column)];
  };
  for (int64_t id = 0; id < config.vocab_size; ++id) element(list.embedding, id, id) = 1;
  std::vector<int32_t> ids = tokenizer->Encode(kScript);
  ids.push_back(*tokenizer->eos_id());
  for (size_t i = 0; i + 1 < ids.size(); ++i) element(list.head, ids[i + 1], ids[i]) = 10;
  return Model::FromParameters(context, config, flat, DType::kF32, tokenizer);
}

inline std::shared_ptr<const Tokenizer> ByteTokenizer() {
  BytesBpeTrainer trainer({.vocab_size = 257});
  trainer.Add("a");
  return trainer.Train();
}

}  // namespace kinetok
