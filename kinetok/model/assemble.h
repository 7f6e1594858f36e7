// A model made of parts of others.
#pragma once

#include <filesystem>
#include <span>

#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"

namespace kinetok {

// Gives a vision-language model (`config`, `list`, weights in `flat`) the decoder of the text model at `decoder`, as
// OpenVLA has Llama 2's: every layer, the norms, and the embedding and the head as far as its vocabulary goes; further
// rows (action tokens, padding) stay as they are. Throws Error naming the field in which the two decoders differ, or
// that the text model's vocabulary is the larger one.
void TakeDecoder(const std::filesystem::path& decoder, const ModelConfig& config, const ParameterList& list,
                 std::span<float> flat);

}  // namespace kinetok
