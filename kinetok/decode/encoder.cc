#include "kinetok/decode/encoder.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/math.h"
#include "kinetok/decode/log_probability.h"
#include "kinetok/decode/sequences.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

const Tokenizer& RequireTokenizer(const Model& model) {
  if (model.tokenizer() == nullptr) Fail("the model has no tokenizer; texts cannot be read");
  return *model.tokenizer();
}

// A text's tokens with what the model expects around them, cut to max_tokens.
std::vector<int32_t> EncodeWhole(const Model& model, const std::string& text, const EmbedOptions& options) {
  std::vector<int32_t> ids = RequireTokenizer(model).Encode(text, {.special = true});
  const auto limit = static_cast<size_t>(options.max_tokens.value_or(static_cast<int64_t>(ids.size())));
  if (ids.size() > limit) {
    const int32_t last = ids.back();
    ids.resize(limit);
    if (model.tokenizer()->sep_id() == last) ids.back() = last;
  }
  CheckPrompt(model.config(), ids);
  return ids;
}

std::vector<float> Pool(Rows<const float> hidden, const EmbedOptions& options) {
  std::vector<double> sum(static_cast<size_t>(hidden.width));
  const int64_t rows = options.pooling == Pooling::kCls ? 1 : hidden.rows;
  for (int64_t i = 0; i < rows; ++i) {
    for (size_t c = 0; c < sum.size(); ++c) sum[c] += hidden[i][c];
  }
  double squares = 0;
  for (double& v : sum) {
    v /= static_cast<double>(rows);
    squares += v * v;
  }
  const double length = options.normalize ? std::sqrt(squares) : 1.0;
  std::vector<float> out;
  for (const double v : sum) out.push_back(static_cast<float>(length > 0 ? v / length : v));
  return out;
}

Pooling ReadPooling(const fs::path& file) {
  const Json json = ParseJson(ReadFile(file), file.string());
  const JsonObject o(json, file.string());
  std::vector<std::string> on;
  for (const auto& [key, value] : json.items()) {
    if (key.starts_with("pooling_mode_") && value == true) on.push_back(key);
  }
  if (on == std::vector<std::string>{"pooling_mode_mean_tokens"}) return Pooling::kMean;
  if (on == std::vector<std::string>{"pooling_mode_cls_token"}) return Pooling::kCls;
  Fail(
      "{}: pooling is by [{}], which is not supported; expected pooling_mode_mean_tokens or pooling_mode_cls_token "
      "alone",
      o.source(), fmt::join(on, ", "));
}

}  // namespace

std::vector<FilledMask> FillMask(Context& context, const Model& model, std::string_view text, int64_t top) {
  const ModelConfig& config = model.config();
  if (config.head != Head::kMaskedLm) {
    Fail("fill-mask needs a model with a masked-word head (BertForMaskedLM); this one of model_type \"{}\" has none",
         config.model_type);
  }
  if (top < 1) Fail("top is {}; it must be at least 1", top);
  const Tokenizer& tokenizer = RequireTokenizer(model);
  if (!tokenizer.mask_id()) Fail("the model's tokenizer has no mask token");
  const std::vector<int32_t> ids = EncodeWhole(model, std::string(text), {});
  KvCache cache(config);
  const int sequence = cache.NewSequence();
  std::vector<BatchRow> rows;
  std::vector<FilledMask> out;
  for (const int32_t id : ids) {
    const bool masked = id == *tokenizer.mask_id();
    if (masked) out.push_back({static_cast<int64_t>(rows.size()), {}});
    rows.push_back({id, sequence, masked});
  }
  if (out.empty()) Fail("the text holds no {}, so there is nothing to fill", tokenizer.Piece(*tokenizer.mask_id()));
  Workspace workspace;
  const Rows<const float> logits = model.Forward(context, rows, cache, workspace);
  for (size_t i = 0; i < out.size(); ++i) {
    const Span<const float> row(logits[static_cast<int64_t>(i)], static_cast<size_t>(logits.width));
    for (const TokenLogprob& t : TopLogProbabilities(row, top)) {
      const std::string piece = tokenizer.Has(t.token) ? std::string(tokenizer.Piece(t.token)) : "";
      out[i].predictions.push_back({t.token, piece, Exp(t.logprob)});
    }
  }
  return out;
}

EmbedOptions EmbedOptions::Load(const fs::path& model_dir) {
  EmbedOptions out;
  const fs::path modules = model_dir / "modules.json", limits = model_dir / "sentence_bert_config.json";
  if (fs::exists(limits)) {
    const Json json = ParseJson(ReadFile(limits), limits.string());
    const JsonObject o(json, limits.string());
    if (o.Has("max_seq_length")) out.max_tokens = o.Int("max_seq_length", 1, 1 << 24);
  }
  if (!fs::exists(modules)) return out;
  const Json list = ParseJson(ReadFile(modules), modules.string());
  if (!list.is_array()) Fail("{}: holds {}, expected a list of modules", modules.string(), Shorten(list));
  for (const Json& item : list) {
    const JsonObject module(item, modules.string());
    const std::string type = module.String("type"), kind = type.substr(type.rfind('.') + 1);
    if (kind == "Pooling") {
      const fs::path part(module.String("path"));
      if (part.is_absolute() || std::ranges::find(part, fs::path("..")) != part.end()) {
        Fail("{}: field \"path\" is \"{}\", expected a folder inside the model's", modules.string(), part.string());
      }
      out.pooling = ReadPooling(model_dir / part / "config.json");
    } else if (kind == "Normalize") {
      out.normalize = true;
    } else if (kind != "Transformer") {
      Fail("{}: module \"{}\" is not supported; expected Transformer, Pooling or Normalize", modules.string(), type);
    }
  }
  return out;
}

std::vector<std::vector<float>> EmbedTexts(Context& context, const Model& model, std::span<const std::string> texts,
                                           const EmbedOptions& options) {
  constexpr size_t kRows = 2048;  // of a pass
  std::vector<std::vector<float>> out;
  Workspace workspace;
  for (size_t next = 0; next < texts.size();) {
    KvCache cache(model.config());
    std::vector<BatchRow> rows;
    std::vector<int64_t> lengths;
    while (next < texts.size() && rows.size() < kRows) {
      const std::vector<int32_t> ids = EncodeWhole(model, texts[next], options);
      if (!rows.empty() && rows.size() + ids.size() > kRows) break;
      const int sequence = cache.NewSequence();
      for (const int32_t id : ids) rows.push_back({id, sequence, false});
      lengths.push_back(static_cast<int64_t>(ids.size()));
      ++next;
    }
    const Rows<const float> hidden = model.Hidden(context, rows, cache, workspace);
    int64_t first = 0;
    for (const int64_t n : lengths) {
      out.push_back(Pool(hidden.Slice(first, n), options));
      first += n;
    }
  }
  return out;
}

double CosineSimilarity(std::span<const float> a, std::span<const float> b) {
  KINETOK_CHECK(a.size() == b.size());
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

}  // namespace kinetok
