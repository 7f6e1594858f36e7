// A model as llama.cpp keeps it in a GGUF file: its names for the configuration, the tensors and the tokenizer. Of the
// architectures there, "llama", "gpt2" and "bert" (BertModel, without a head) are models of this build.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kinetok/io/gguf.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// The configuration that the fields and tensors of a file describe. Throws Error naming the file, the field and its
// value for an architecture that is unknown, a field that is missing or out of range, and one that changes the result
// and is not supported.
ModelConfig ReadGgufConfig(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors);

// The same as fields to write, `dtype` being that of the matrices. Throws Error beginning with `source` for a model
// that no GGUF architecture describes.
GgufFields GgufConfigFields(const ModelConfig& config, DType dtype, std::string_view source);

// Every tensor of a GGUF file of config.model_type, in file order: what PublishedTensors is for Hugging Face's layout.
std::vector<PublishedTensor> GgufTensors(const ModelConfig& config, const ParameterList& list);

// The tensor that a file may store once more as `name`; empty when there is none.
std::string_view GgufOriginalOfCopy(std::string_view name);

// The tokenizer that a file carries. Throws Error when it carries none or one of a kind that is not supported.
std::shared_ptr<const Tokenizer> ReadGgufTokenizer(const GgufMetadata& metadata);

// A tokenizer as fields to write, its pieces padded to the model's `vocab_size`; null: a file without a tokenizer.
// Throws Error beginning with `source` for a tokenizer that GGUF has no form for.
GgufFields GgufTokenizerFields(const Tokenizer* tokenizer, const ModelConfig& config, std::string_view source);

}  // namespace kinetok
