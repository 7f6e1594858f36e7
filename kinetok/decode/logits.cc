#include "kinetok/decode/logits.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kinetok/base/sha256.h"
#include "kinetok/decode/sequences.h"

namespace kinetok {

void ForEachLogits(Context& context, const Model& model, std::span<const int32_t> tokens,
                   const std::function<void(int64_t, Rows<const float>)>& sink) {
  constexpr size_t kPiece = 128;  // bounds the logits' memory: 16 MB at a vocabulary of 32,000
  CheckPrompt(model.config(), tokens);
  const size_t piece = model.config().IsCausal() ? kPiece : tokens.size();  // an encoder reads its text whole
  KvCache cache(model.config());
  const int sequence = cache.NewSequence();
  Workspace workspace;
  std::vector<BatchRow> rows;
  for (size_t first = 0; first < tokens.size(); first += piece) {
    rows.clear();
    for (int32_t token : tokens.subspan(first, std::min(piece, tokens.size() - first))) {
      rows.push_back({.token = token, .sequence = sequence, .want_logits = true});
    }
    sink(static_cast<int64_t>(first), model.Forward(context, rows, cache, workspace));
  }
}

std::vector<float> NextLogits(Context& context, const Model& model, std::span<const int32_t> tokens) {
  RequireNextToken(model.config(), "choosing a token");
  CheckPrompt(model.config(), tokens);
  KvCache cache(model.config());
  const int sequence = cache.NewSequence();
  Workspace workspace;
  std::vector<BatchRow> rows;
  rows.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], sequence, i + 1 == tokens.size()});
  const Rows<const float> logits = model.Forward(context, rows, cache, workspace);
  return {logits.data, logits.data + logits.width};
}

std::string Fingerprint(Context& context, const Model& model) {
  static_assert(std::endian::native == std::endian::little, "the fingerprint is over little-endian floats");
  const ModelConfig& config = model.config();
  std::vector<int32_t> tokens(static_cast<size_t>(std::min<int64_t>(config.max_position_embeddings, 160)));
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(static_cast<uint32_t>(i * 2654435761u) % static_cast<uint64_t>(config.vocab_size));
  }
  Sha256 hash;
  ForEachLogits(context, model, tokens, [&](int64_t, Rows<const float> logits) {
    for (int64_t i = 0; i < logits.rows; ++i) {
      hash.Update(std::as_bytes(std::span(logits[i], static_cast<size_t>(logits.width))));
    }
  });
  return hash.Hex();
}

}  // namespace kinetok
