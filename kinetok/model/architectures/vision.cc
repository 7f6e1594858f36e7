// Vision transformers as timm stores them: the towers of OpenVLA, DINOv2 (Oquab et al. 2023, arXiv 2304.07193) and
// SigLIP (Zhai et al. 2023, arXiv 2303.15343), and towers of other sizes that a configuration describes.
#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

constexpr std::string_view kDino = "vit_large_patch14_reg4_dinov2.lvd142m", kSigLip = "vit_so400m_patch14_siglip_224";
constexpr int64_t kMaxImageSize = 4096, kMaxRegisters = 4096;

// The features are the output of the last block but one.
ModelConfig Tower(PatchInput input, int64_t width, int64_t depth, int64_t feature_block, int64_t heads, int64_t mlp) {
  ModelConfig c;
  c.model_type = "vision";
  c.vocab_size = input.PrefixTokens();
  c.hidden_size = width;
  c.num_hidden_layers = feature_block + 1;
  c.num_attention_heads = c.num_key_value_heads = heads;
  c.head_dim = width / heads;
  c.intermediate_size = mlp;
  c.max_position_embeddings = input.Patches() + (input.position_covers_prefix ? input.PrefixTokens() : 0);
  c.final_norm = false;
  c.norm_eps = 1e-6;
  c.activation = Activation::kGeluErf;
  c.head = Head::kNone;
  c.tie_word_embeddings = false;
  c.masks = {Mask::Full()};
  input.unread_layers = depth - c.num_hidden_layers;
  c.patches = std::move(input);
  return c;
}

std::optional<ModelConfig> KnownTower(const std::string& timm_id) {
  if (timm_id == kDino) {
    ModelConfig c =
        Tower({.timm_id = timm_id, .image_size = 224, .patch_size = 14, .class_token = true, .reg_tokens = 4}, 1024, 24,
              22, 16, 4096);
    c.layer_scale = true;
    return c;
  }
  if (timm_id == kSigLip) {
    return Tower({.timm_id = timm_id, .image_size = 224, .patch_size = 14, .attn_pool = true}, 1152, 27, 25, 16, 4304);
  }
  return std::nullopt;
}

// The description's field must be what the others say, when it is given.
void Agree(const JsonObject& o, std::string_view key, int64_t high, int64_t value, std::string_view why) {
  if (o.Int(key, 0, high, value) != value) {
    Fail("{}: field \"{}\" is {}, expected {} ({})", o.source(), key, o.Int(key, 0, high), value, why);
  }
}

}  // namespace

ModelConfig ParseVisionTower(const std::string& timm_id, int64_t image_size, const std::optional<JsonObject>& json,
                             std::string_view source) {
  if (!json) {
    std::optional<ModelConfig> known = KnownTower(timm_id);
    if (!known) {
      Fail(
          "{}: field \"timm_model_ids\" names \"{}\", which is not supported; expected {} or {}, or a tower that "
          "kinetok_vision describes",
          source, timm_id, kDino, kSigLip);
    }
    if (image_size != known->patches->image_size) {
      Fail("{}: field \"image_sizes\" is {} for {}, expected {}", source, image_size, timm_id,
           known->patches->image_size);
    }
    return *std::move(known);
  }
  const JsonObject& o = *json;
  o.AllowKeys({"image_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_hidden_dim", "class_token",
               "reg_tokens", "num_prefix_tokens", "pos_embed_covers_prefix", "layer_scale", "attn_pool", "qkv_bias",
               "norm_eps", "hidden_act", "feature_block"});
  if (image_size < 1 || image_size > kMaxImageSize) {
    Fail("{}: field \"image_sizes\" holds {}, expected 1 to {} pixels", source, image_size, kMaxImageSize);
  }
  PatchInput input;
  input.timm_id = timm_id;
  input.image_size = image_size;
  Agree(o, "image_size", kMaxImageSize, image_size, "image_sizes");
  input.patch_size = o.Int("patch_size", 1, kMaxImageSize);
  if (input.image_size % input.patch_size != 0) {
    Fail("{}: field \"patch_size\" is {}, expected a divisor of image_size ({})", o.source(), input.patch_size,
         input.image_size);
  }
  input.class_token = o.Bool("class_token", false);
  input.reg_tokens = o.Int("reg_tokens", 0, kMaxRegisters, 0);
  Agree(o, "num_prefix_tokens", kMaxRegisters + 1, input.PrefixTokens(), "class_token and reg_tokens");
  input.position_covers_prefix = o.Bool("pos_embed_covers_prefix", false);
  input.attn_pool = o.Bool("attn_pool", false);
  const int64_t width = o.Int("embed_dim", 1, kMaxWidth), depth = o.Int("depth", 1, kMaxLayers);
  const int64_t heads = o.Int("num_heads", 1, kMaxHeads);
  if (width % heads != 0) {
    Fail("{}: field \"num_heads\" is {}, expected a divisor of embed_dim ({})", o.source(), heads, width);
  }
  ModelConfig c = Tower(input, width, depth, o.Int("feature_block", 0, depth - 1, std::max<int64_t>(0, depth - 2)),
                        heads, o.Int("mlp_hidden_dim", 1, kMaxWidth, 4 * width));
  c.layer_scale = o.Bool("layer_scale", false);
  c.attention_bias = o.Bool("qkv_bias", true);
  c.norm_eps = Positive(o, "norm_eps", 1e-6);
  c.activation = ParseActivation(o, "hidden_act", "gelu");
  if (c.head_dim > 256) Fail("{}: embed_dim / num_heads is {}, expected 1 to 256", o.source(), c.head_dim);
  return c;
}

OrderedJson VisionTowerToJson(const ModelConfig& c) {
  const PatchInput& p = *c.patches;
  if (KnownTower(p.timm_id) == c) return nullptr;
  OrderedJson j;
  j["image_size"] = p.image_size;
  j["patch_size"] = p.patch_size;
  j["embed_dim"] = c.hidden_size;
  j["depth"] = c.num_hidden_layers + p.unread_layers;
  j["num_heads"] = c.num_attention_heads;
  j["mlp_hidden_dim"] = c.intermediate_size;
  j["class_token"] = p.class_token;
  j["reg_tokens"] = p.reg_tokens;
  j["num_prefix_tokens"] = p.PrefixTokens();
  j["pos_embed_covers_prefix"] = p.position_covers_prefix;
  j["layer_scale"] = c.layer_scale;
  j["attn_pool"] = p.attn_pool;
  j["qkv_bias"] = c.attention_bias;
  j["norm_eps"] = c.norm_eps;
  j["hidden_act"] = NameOfActivation(c.activation);
  j["feature_block"] = c.num_hidden_layers - 1;
  return j;
}

void AddVisionTensors(const ModelConfig& c, const StackParameters& list, const std::string& prefix, TensorTable& t) {
  const PatchInput& input = *c.patches;
  const int64_t width = c.hidden_size, mlp = c.intermediate_size;
  t.Shaped(prefix + "patch_embed.proj.weight", list.patch_weight, {width, 3, input.patch_size, input.patch_size});
  t.Add(prefix + "patch_embed.proj.bias", list.patch_bias);
  if (input.class_token) t.Shaped(prefix + "cls_token", list.embedding, {1, 1, width});
  if (input.reg_tokens > 0) {
    t.Shaped(prefix + "reg_token", list.embedding, {1, input.reg_tokens, width}, input.class_token ? 1 : 0);
  }
  t.Shaped(prefix + "pos_embed", list.position, {1, c.max_position_embeddings, width});

  const auto pair = [&](const std::string& name, int weight, int bias) {
    t.Add(name + ".weight", weight);
    if (bias >= 0) t.Add(name + ".bias", bias);
  };
  const auto unread = [&](const std::string& name, std::vector<int64_t> weight) {
    const int64_t rows = weight[0];
    t.Unread(name + ".weight", std::move(weight));
    t.Unread(name + ".bias", {rows});
  };
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("{}blocks.{}.", prefix, l);
    pair(at + "norm1", p.norm1_weight, p.norm1_bias);
    pair(at + "attn.qkv", p.qkv_weight, p.qkv_bias);
    pair(at + "attn.proj", p.out_weight, p.out_bias);
    if (p.scale1 >= 0) t.Add(at + "ls1.scale_factor", p.scale1);
    pair(at + "norm2", p.norm2_weight, p.norm2_bias);
    pair(at + "mlp.fc1", p.up_weight, p.up_bias);
    pair(at + "mlp.fc2", p.down_weight, p.down_bias);
    if (p.scale2 >= 0) t.Add(at + "ls2.scale_factor", p.scale2);
  }
  for (int64_t l = c.num_hidden_layers; l < c.num_hidden_layers + input.unread_layers; ++l) {
    const std::string at = fmt::format("{}blocks.{}.", prefix, l);
    unread(at + "norm1", {width});
    t.Unread(at + "attn.qkv.weight", {3 * width, width});
    if (c.attention_bias) t.Unread(at + "attn.qkv.bias", {3 * width});
    unread(at + "attn.proj", {width, width});
    if (c.layer_scale) t.Unread(at + "ls1.scale_factor", {width});
    unread(at + "norm2", {width});
    unread(at + "mlp.fc1", {mlp, width});
    unread(at + "mlp.fc2", {width, mlp});
    if (c.layer_scale) t.Unread(at + "ls2.scale_factor", {width});
  }
  unread(prefix + "norm", {width});
  if (!input.attn_pool) return;
  const std::string pool = prefix + "attn_pool.";
  t.Unread(pool + "latent", {1, 1, width});
  unread(pool + "q", {width, width});
  unread(pool + "kv", {2 * width, width});
  unread(pool + "proj", {width, width});
  unread(pool + "norm", {width});
  unread(pool + "mlp.fc1", {mlp, width});
  unread(pool + "mlp.fc2", {width, mlp});
}

}  // namespace kinetok
