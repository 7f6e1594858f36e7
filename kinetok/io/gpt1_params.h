// GPT-1 as OpenAI published it (github.com/openai/finetune-transformer-lm): params_shapes.json lists the shapes of all
// parameters, and params_0.npy, params_1.npy, ... hold their values, float32, one after the other and cut anywhere.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/io/tensor_file.h"

namespace kinetok {

inline constexpr std::string_view kGpt1Shapes = "params_shapes.json";

// What follows from the shapes, as a config.json of model_type "openai-gpt"; a head has 64 columns. Throws Error naming
// the file and the shape that cannot be.
OrderedJson Gpt1ConfigFromShapes(const Json& shapes, std::string_view source);

// The float32 values of a one-dimensional .npy file (format 1.0 or 2.0), where they lie. Throws Error naming `source`
// and the field for any other kind of array and for a length that does not fit.
std::span<const std::byte> ParseNpyVector(std::span<const std::byte> file, std::string_view source);

// The parameters under the names that Hugging Face gives them ("transformer.h.0.attn.c_attn.weight"), without the
// shapes' leading ones. A tensor that lies in two files or more is put together when it is first read, until Drop.
class Gpt1Params : public TensorFile {
 public:
  explicit Gpt1Params(const std::filesystem::path& dir);  // Throws Error as above

  std::span<const std::byte> Bytes(const TensorInfo& tensor) const override;
  void Drop(const TensorInfo& tensor) const override;

 private:
  struct Part {
    MappedFile file;
    std::span<const std::byte> values;
    int64_t first = 0;  // of its bytes, among all
  };
  // Calls visit(part, from, bytes) for each file's share of a tensor.
  template <class Visit>
  void ForParts(const TensorInfo& tensor, Visit visit) const;

  std::vector<Part> parts_;
  mutable std::mutex mutex_;
  mutable std::map<const TensorInfo*, std::vector<std::byte>> joined_;
};

}  // namespace kinetok
