// The published formats: for each model_type, how its config.json is read and written and what its tensors are called.
// A further model is one more file in architectures/ and a row in Architectures(). Internal to model/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"

namespace kinetok {

// Collects the rows of PublishedTensors.
class TensorTable {
 public:
  TensorTable(const ParameterList& list, std::vector<PublishedTensor>* out) : list_(list), out_(out) {}

  // A whole parameter, or rows [first, first + rows) of it, stored [rows, columns] or, transposed, [columns, rows].
  void Add(std::string name, int parameter, bool transposed = false);
  void Slice(std::string name, int parameter, int64_t first, int64_t rows, bool transposed = false);
  // A slice whose heads of `rotary_dim` rows are stored with the two halves interleaved.
  void Interleaved(std::string name, int parameter, int64_t first, int64_t rows, int64_t rotary_dim);
  // A bias that the published layout demands; zeros when the model has none.
  void Bias(std::string name, int parameter, int64_t size);
  // A whole parameter, or rows of it, in a shape with more dimensions.
  void Shaped(std::string name, int parameter, std::vector<int64_t> shape, int64_t first = 0);
  // What the layout holds and no model reads.
  void Unread(std::string name, std::vector<int64_t> shape);

  const ParameterList& list() const { return list_; }

 private:
  const ParameterList& list_;
  std::vector<PublishedTensor>* out_;
};

struct Architecture {
  std::string_view model_type;
  ModelConfig (*parse)(const JsonObject&);            // without initializer_range and special tokens
  void (*write)(const ModelConfig&, OrderedJson&);    // the same fields
  void (*tensors)(const ModelConfig&, TensorTable&);  // in file order, the embedding first
  std::string_view prefix;                            // that some files leave out: "transformer."
  std::span<const std::string_view> unprefixed;       // beginnings of names that never carry it: "lm_head."
  std::span<const std::string_view> ignorable;        // endings of names that no model reads
  // Tensors that may be stored once more under a second name, (copy, original).
  std::span<const std::pair<std::string_view, std::string_view>> copies;
  // Parts of names that other releases spell otherwise, (theirs, ours).
  std::span<const std::pair<std::string_view, std::string_view>> spellings;
};

// The first releases of transformers' models named the two vectors of a norm by letters.
inline constexpr std::pair<std::string_view, std::string_view> kNormSpellings[] = {{".gamma", ".weight"},
                                                                                   {".beta", ".bias"}};

extern const Architecture kGpt1, kGpt2, kGptNeo, kLlama, kBert, kOpenVla;

// Llama's, which OpenVLA's decoder is too. `defaults`: absent sizes are Llama 2 7B's, as in transformers.
ModelConfig ParseLlama(const JsonObject& o, bool defaults);
void WriteLlama(const ModelConfig& config, OrderedJson& json);
void AddLlamaTensors(const ModelConfig& config, const std::string& prefix, TensorTable& table);

// timm's vision transformers; `json` describes one of another size. Throws Error, which names `source`, when neither
// the name nor a description says what it is.
ModelConfig ParseVisionTower(const std::string& timm_id, int64_t image_size, const std::optional<JsonObject>& json,
                             std::string_view source);
// The description, or null for a tower that is known by its name.
OrderedJson VisionTowerToJson(const ModelConfig& tower);
void AddVisionTensors(const ModelConfig& tower, const StackParameters& parameters, const std::string& prefix,
                      TensorTable& table);

std::span<const Architecture* const> Architectures();
// nullptr when there is none of this name.
const Architecture* FindArchitecture(std::string_view model_type);

}  // namespace kinetok
