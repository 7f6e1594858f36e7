// A model made of parts of others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "kinetok/kernels/context.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"
#include "kinetok/tensor/dtype.h"

namespace kinetok {

// Gives a vision-language model (`config`, `list`, weights in `flat`) the decoder of the text model at `decoder`, as
// OpenVLA has Llama 2's: every layer, the norms, and the embedding and the head as far as its vocabulary goes; further
// rows (action tokens, padding) stay as they are. Throws Error naming the field in which the two decoders differ, or
// that the text model's vocabulary is the larger one.
void TakeDecoder(const std::filesystem::path& decoder, const ModelConfig& config, const ParameterList& list,
                 std::span<float> flat);

// Writes the model at `base` with a PEFT adapter added to its weights into the directory `to`, in `dtype` or the type
// that they have: files, tokenizer and an adapter's statistics included. All in memory, in f32. `to` appears when it is
// complete. Returns the size of the weights' file.
int64_t MergeAdapter(Context& context, const std::filesystem::path& base, const std::filesystem::path& adapter,
                     const std::filesystem::path& to, std::optional<DType> dtype, bool force);

}  // namespace kinetok
