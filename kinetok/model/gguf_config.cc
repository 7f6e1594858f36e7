// The metadata fields of llama.cpp's architectures as a ModelConfig and back.

#include <algorithm>
#include <charconv>
#include <cstring>
#include <initializer_list>

#include "kinetok/base/error.h"
#include "kinetok/io/gguf_types.h"
#include "kinetok/model/gguf_model.h"
#include "kinetok/model/presets.h"

namespace kinetok {
namespace {

using Keys = std::initializer_list<std::string_view>;

constexpr int64_t kMost = 1 << 24;  // of any count; ModelConfig::Check has the exact limits

// Written only by us: llama.cpp's GPT-2 always has biases, and knows one end of a text.
constexpr std::string_view kBiasKey = "kinetok.bias", kEosIdsKey = "kinetok.eos_token_ids";

// llama.cpp's numbers for what most matrices of a file are (llama_ftype).
uint32_t FileType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kBF16:
      return 32;
  }
  KINETOK_CHECK(false);
  return 0;
}

// A number that was written as float32, as the decimal that it was rounded from: 1e-05, not 9.99999975e-06.
double Decimal(double stored) {
  const std::string text = fmt::format("{}", static_cast<float>(stored));
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The fields of one architecture: their keys begin with its name.
class Fields {
 public:
  Fields(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors, std::string architecture)
      : metadata_(metadata), tensors_(tensors), prefix_(std::move(architecture) + ".") {}

  std::string Key(std::string_view name) const { return prefix_ + std::string(name); }
  bool Has(std::string_view name) const { return metadata_.Has(Key(name)); }
  int64_t Int(std::string_view name) const { return metadata_.Int(Key(name), 1, kMost); }
  int64_t Int(std::string_view name, int64_t fallback) const { return metadata_.Int(Key(name), 1, kMost, fallback); }
  double Positive(std::string_view name) const { return CheckPositive(name, metadata_.Number(Key(name))); }
  double Positive(std::string_view name, double fallback) const {
    return CheckPositive(name, metadata_.Number(Key(name), fallback));
  }
  bool HasTensor(std::string_view name) const { return FindTensor(name) != nullptr; }

  // A field that would change the result: only `supported` (or absence) is accepted.
  void RequireInt(std::string_view name, int64_t supported) const {
    const int64_t value = metadata_.Int(Key(name), 0, kMost, supported);
    if (value != supported) {
      Fail("{}: field \"{}\" is {}, which is not supported; expected {}", metadata_.source(), Key(name), value,
           supported);
    }
  }
  // Every other field of the architecture is one that this build does not know.
  void AllowOnly(Keys known) const {
    for (const std::string& key : metadata_.keys()) {
      if (!key.starts_with(prefix_)) continue;
      if (std::ranges::find(known, std::string_view(key).substr(prefix_.size())) == known.end()) {
        Fail("{}: field \"{}\" is not supported", metadata_.source(), key);
      }
    }
  }
  int64_t RowsOf(std::string_view name) const {
    const TensorInfo* tensor = FindTensor(name);
    if (tensor == nullptr) Fail("{}: tensor \"{}\" is missing", metadata_.source(), name);
    if (tensor->shape.size() != 2 || tensor->shape[0] > kMost) {
      Fail("{}: tensor \"{}\" has shape [{}], expected [rows, width]", metadata_.source(), name,
           fmt::join(tensor->shape, ", "));
    }
    return tensor->shape[0];
  }
  int64_t VocabSize() const {
    const int64_t rows = RowsOf("token_embd.weight");
    RequireInt("vocab_size", rows);
    return rows;
  }

 private:
  double CheckPositive(std::string_view name, double value) const {
    if (!(value > 0)) Fail("{}: field \"{}\" is {}, expected a number above 0", metadata_.source(), Key(name), value);
    return Decimal(value);
  }
  const TensorInfo* FindTensor(std::string_view name) const {
    const auto it = std::ranges::find(tensors_, name, &TensorInfo::name);
    return it == tensors_.end() ? nullptr : &*it;
  }
  const GgufMetadata& metadata_;
  const std::vector<TensorInfo>& tensors_;
  std::string prefix_;
};

// As many heads of keys as of queries, which share the width.
void ReadHeads(const GgufMetadata& metadata, const Fields& f, ModelConfig* c) {
  c->num_attention_heads = c->num_key_value_heads = f.Int("attention.head_count");
  f.RequireInt("attention.head_count_kv", c->num_attention_heads);
  if (c->hidden_size % c->num_attention_heads != 0) {
    Fail("{}: field \"{}\" is {}, expected a multiple of attention.head_count ({})", metadata.source(),
         f.Key("embedding_length"), c->hidden_size, c->num_attention_heads);
  }
  c->head_dim = c->hidden_size / c->num_attention_heads;
}

ModelConfig ReadGpt2(const GgufMetadata& metadata, const Fields& f) {
  f.AllowOnly({"vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
               "attention.head_count", "attention.head_count_kv", "attention.layer_norm_epsilon"});
  ModelConfig c;
  c.model_type = "gpt2";
  c.vocab_size = f.VocabSize();
  c.hidden_size = f.Int("embedding_length");
  c.num_hidden_layers = f.Int("block_count");
  ReadHeads(metadata, f, &c);
  c.intermediate_size = f.Int("feed_forward_length", 4 * c.hidden_size);
  c.max_position_embeddings = f.Int("context_length");
  c.norm_eps = f.Positive("attention.layer_norm_epsilon");
  c.norm_bias = c.attention_bias = c.attention_out_bias = c.mlp_bias = metadata.Bool(kBiasKey, true);
  return c;
}

ModelConfig ReadLlama(const GgufMetadata& metadata, const Fields& f) {
  f.AllowOnly({"vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
               "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon",
               "attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base",
               "rope.scaling.type", "rope.scaling.factor", "expert_count", "expert_used_count"});
  ModelConfig c;
  c.model_type = "llama";
  c.vocab_size = f.VocabSize();
  c.hidden_size = f.Int("embedding_length");
  c.num_hidden_layers = f.Int("block_count");
  c.num_attention_heads = f.Int("attention.head_count");
  c.num_key_value_heads = f.Int("attention.head_count_kv", c.num_attention_heads);
  if (!f.Has("attention.key_length") && c.hidden_size % c.num_attention_heads != 0) {
    Fail("{}: field \"{}\" is {}, expected a multiple of attention.head_count ({})", metadata.source(),
         f.Key("embedding_length"), c.hidden_size, c.num_attention_heads);
  }
  c.head_dim = f.Int("attention.key_length", c.hidden_size / c.num_attention_heads);
  f.RequireInt("attention.value_length", c.head_dim);
  f.RequireInt("rope.dimension_count", c.head_dim);
  f.RequireInt("expert_count", 0);
  f.RequireInt("expert_used_count", 0);
  c.intermediate_size = f.Int("feed_forward_length");
  c.max_position_embeddings = f.Int("context_length");
  c.norm = Norm::kRms;
  c.norm_bias = false;
  c.norm_eps = f.Positive("attention.layer_norm_rms_epsilon");
  c.position = Position::kRope;
  c.rope_theta = f.Positive("rope.freq_base", 10000.0);
  const std::string scaling = metadata.String(f.Key("rope.scaling.type"), "none");
  if (scaling == "linear") {
    c.rope_scaling.kind = RopeScaling::Kind::kLinear;
    c.rope_scaling.factor = f.Positive("rope.scaling.factor");
  } else if (scaling != "none") {
    Fail("{}: field \"{}\" is \"{}\", which is not supported; expected \"none\" or \"linear\"", metadata.source(),
         f.Key("rope.scaling.type"), scaling);
  }
  if (f.HasTensor("rope_freqs.weight")) {
    Fail("{}: tensor \"rope_freqs.weight\" (scaled rotary positions) is not supported", metadata.source());
  }
  c.gated_mlp = true;
  c.activation = Activation::kSilu;
  c.attention_bias = f.HasTensor("blk.0.attn_q.bias");
  c.attention_out_bias = f.HasTensor("blk.0.attn_output.bias");
  c.mlp_bias = f.HasTensor("blk.0.ffn_gate.bias");
  return c;
}

// BertModel. llama.cpp computes its GELU by the approximation; the models have the exact one.
ModelConfig ReadBert(const GgufMetadata& metadata, const Fields& f) {
  f.AllowOnly({"vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
               "attention.head_count", "attention.layer_norm_epsilon", "attention.causal", "pooling_type"});
  ModelConfig c;
  c.model_type = "bert";
  c.vocab_size = f.VocabSize();
  c.hidden_size = f.Int("embedding_length");
  c.num_hidden_layers = f.Int("block_count");
  ReadHeads(metadata, f, &c);
  c.intermediate_size = f.Int("feed_forward_length");
  c.max_position_embeddings = f.Int("context_length");
  c.type_vocab_size = f.RowsOf("token_types.weight");
  c.masks = {Mask::Full()};
  c.norm_place = NormPlace::kAfter;
  c.embedding_norm = true;
  c.final_norm = false;
  c.norm_eps = f.Positive("attention.layer_norm_epsilon");
  c.activation = Activation::kGeluErf;
  c.head = Head::kNone;
  if (metadata.Bool(f.Key("attention.causal"), false)) {
    Fail("{}: field \"{}\" is true, which is not supported; expected false", metadata.source(),
         f.Key("attention.causal"));
  }
  // How a sentence's vector is made: 1 is the mean over its tokens, 0 leaves it to the user.
  if (const int64_t pooling = metadata.Int(f.Key("pooling_type"), 0, kMost, 0); pooling > 1) {
    Fail("{}: field \"{}\" is {}, which is not supported; expected 0 (none) or 1 (mean)", metadata.source(),
         f.Key("pooling_type"), pooling);
  }
  return c;
}

void ReadSpecialTokens(const GgufMetadata& metadata, ModelConfig* c) {
  const auto known = [&](int64_t id) { return id < c->vocab_size; };
  const auto id_of = [&](const char* name) -> std::optional<int32_t> {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    // 2^32 - 1 stands for none.
    const int64_t id = metadata.Int(key, 0, UINT32_MAX, UINT32_MAX);
    return known(id) ? std::optional(static_cast<int32_t>(id)) : std::nullopt;
  };
  c->bos_token_id = id_of("bos");
  if (metadata.Has(kEosIdsKey)) {
    for (const int64_t id : metadata.Ints(kEosIdsKey, 0, kMost)) {
      if (known(id)) c->eos_token_ids.push_back(static_cast<int32_t>(id));
    }
    return;
  }
  for (const char* name : {"eos", "eot", "eom"}) {  // what llama.cpp ends a text at
    const auto id = id_of(name);
    if (id && std::ranges::find(c->eos_token_ids, *id) == c->eos_token_ids.end()) c->eos_token_ids.push_back(*id);
  }
}

// What training alone uses has no field in a GGUF file.
ModelConfig WithoutTraining(ModelConfig c) {
  const ModelConfig defaults;
  c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = 0;
  c.initializer_range = defaults.initializer_range;
  return c;
}

}  // namespace

ModelConfig ReadGgufConfig(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors) {
  const std::string& source = metadata.source();
  if (const std::string type = metadata.String("general.type", "model"); type != "model") {
    Fail("{}: field \"general.type\" is \"{}\", expected \"model\"", source, type);
  }
  if (const int64_t parts = metadata.Int("split.count", 0, kMost, 0); parts > 1) {
    Fail(
        "{}: is one of {} parts (field \"split.count\"), which is not supported; join them with llama.cpp's "
        "llama-gguf-split --merge",
        source, parts);
  }
  const std::string architecture = metadata.String("general.architecture");
  const Fields fields(metadata, tensors, architecture);
  ModelConfig c;
  if (architecture == "gpt2") {
    c = ReadGpt2(metadata, fields);
  } else if (architecture == "llama") {
    c = ReadLlama(metadata, fields);
  } else if (architecture == "bert") {
    c = ReadBert(metadata, fields);
  } else {
    const std::string nearest = NearestName(architecture, {"gpt2", "llama", "bert"});
    Fail("{}: field \"general.architecture\" is \"{}\", which is not supported{}; expected gpt2, llama or bert", source,
         architecture, nearest.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", nearest));
  }
  c.tie_word_embeddings = !fields.HasTensor("output.weight");
  ReadSpecialTokens(metadata, &c);
  c.Check(source);
  return c;
}

GgufFields GgufConfigFields(const ModelConfig& c, DType dtype, std::string_view source) {
  const bool gpt2 = c.model_type == "gpt2", bert = c.model_type == "bert";
  if (!gpt2 && !bert && c.model_type != "llama") {
    Fail("{}: model_type \"{}\" cannot be written as GGUF; expected gpt2, llama or bert", source, c.model_type);
  }
  if (bert && c.head != Head::kNone) {
    Fail("{}: a GGUF file of architecture \"bert\" holds no head for masked words; expected a BertModel", source);
  }
  if (bert && c.activation != Activation::kGeluErf) {
    Fail("{}: hidden_act is not gelu, which GGUF's bert always has", source);
  }
  if (gpt2 && c.activation != Activation::kGeluTanh) {
    Fail("{}: activation_function is not gelu_new, which GGUF's gpt2 always has", source);
  }
  if (c.rope_scaling.kind == RopeScaling::Kind::kLlama3) {
    Fail("{}: rope type \"llama3\" has no field in GGUF; expected \"default\" or \"linear\"", source);
  }
  const auto count = [](int64_t value) { return static_cast<uint32_t>(value); };
  GgufFields out = {{"general.architecture", c.model_type},
                    {"general.type", std::string("model")},
                    {"general.file_type", FileType(dtype)}};
  const auto add = [&](std::string_view name, GgufData data) {
    out.emplace_back(c.model_type + "." + std::string(name), std::move(data));
  };
  add("vocab_size", count(c.vocab_size));
  add("context_length", count(c.max_position_embeddings));
  add("embedding_length", count(c.hidden_size));
  add("block_count", count(c.num_hidden_layers));
  add("feed_forward_length", count(c.intermediate_size));
  add("attention.head_count", count(c.num_attention_heads));
  const auto eps = static_cast<float>(c.norm_eps);
  if (gpt2) {
    add("attention.layer_norm_epsilon", eps);
    if (!c.attention_bias) out.emplace_back(kBiasKey, false);
  } else if (bert) {
    add("attention.layer_norm_epsilon", eps);
    add("attention.causal", false);
    out.emplace_back("tokenizer.ggml.token_type_count", count(c.type_vocab_size));
  } else {
    add("attention.head_count_kv", count(c.num_key_value_heads));
    add("attention.layer_norm_rms_epsilon", eps);
    add("attention.key_length", count(c.head_dim));
    add("attention.value_length", count(c.head_dim));
    add("rope.dimension_count", count(c.head_dim));
    add("rope.freq_base", static_cast<float>(c.rope_theta));
    if (c.rope_scaling.kind == RopeScaling::Kind::kLinear) {
      add("rope.scaling.type", std::string("linear"));
      add("rope.scaling.factor", static_cast<float>(c.rope_scaling.factor));
    }
  }
  if (c.bos_token_id) out.emplace_back("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*c.bos_token_id));
  if (!c.eos_token_ids.empty()) {
    out.emplace_back("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(c.eos_token_ids[0]));
  }
  if (c.eos_token_ids.size() > 1) out.emplace_back(kEosIdsKey, c.eos_token_ids);

  // What these fields do not say would be lost: they are read back and compared with the whole configuration.
  const std::vector<PublishedTensor> tensors = GgufTensors(c, ParameterList(c));
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const PublishedTensor& t : tensors) specs.push_back({t.name, dtype, t.shape});
  const std::string header = GgufHeaderBytes(specs, out);
  const uint64_t size = header.size() + static_cast<uint64_t>(PlaceTensors(specs, kGgufAlignment).back());
  const GgufHeader parsed = ParseGgufHeader(std::as_bytes(std::span(header.data(), header.size())), size, source);
  if (ReadGgufConfig(parsed.metadata, parsed.tensors) != WithoutTraining(c)) {
    Fail("{}: this model has options that a GGUF file of architecture \"{}\" cannot hold", source, c.model_type);
  }
  return out;
}

}  // namespace kinetok
