// Executes steps of a Program, forward and backward, over buffers that the caller has placed. Internal to model/.
#pragma once

#include <cstdint>
#include <vector>

#include "kinetok/kernels/attention.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/kernels/rope.h"
#include "kinetok/model/lora.h"
#include "kinetok/model/program.h"

namespace kinetok {

// A parameter as the steps read it: packed (inference) or plain (training); vectors and the position table are plain.
struct ParameterView {
  const PackedMatrix* packed = nullptr;
  const std::vector<LowRank>* low_rank = nullptr;  // an adapter's parts beside `packed`; null without any
  Rows<const float> plain;                         // a matrix; a vector is one row
  Span<const float> vector() const { return {plain.data, static_cast<size_t>(plain.width)}; }
};

// The rows of one stack in a pass.
struct StackRows {
  const ModelConfig* config = nullptr;
  Span<const int32_t> tokens;     // [rows], -1: an embedding
  Span<const int32_t> positions;  // [rows], in the table of positions; -1: none
  // [rows], the embedding of a row without a token; may be empty where there is none.
  Span<const float* const> embeddings;
};

// What one pass over a batch works on.
struct StepContext {
  const Program* program = nullptr;
  Span<const ParameterView> parameters;
  const RopeTable* rope = nullptr;

  std::vector<StackRows> stacks;                         // by Step::stack
  std::vector<Span<const AttentionRow>> attention_rows;  // by layer
  std::vector<KvPages> kv;                               // by layer
  std::vector<Rows<float>> buffers;                      // by Program::buffers index
  DropoutSite dropout;                                   // seed and step
  Span<const uint64_t> dropout_keys;                     // [rows] of the decoder

  const ModelConfig& config(const Step& s) const { return *stacks[s.stack].config; }
};

// The rotary table of a model for `positions` positions, its scaling included.
RopeTable MakeRopeTable(const ModelConfig& config, int64_t positions);

// The positions that a row sees in a sequence of `length` under a mask.
AttentionRow VisibleRow(const Mask& mask, int32_t sequence, int32_t position, int32_t length);

// What attention scores are multiplied by.
float AttentionScale(const ModelConfig& config);

void ForwardStep(Context& context, const StepContext& c, const Step& step);

// The gradients of buffers and parameters. Buffers joined by residual additions share one gradient.
struct GradientContext {
  std::vector<Rows<float>> buffers;     // by Program::buffers index; empty for statistics
  std::vector<bool> written;            // by buffer: its gradient holds something (kept by BackwardStep)
  std::vector<int> shared;              // by buffer: the representative of those that share its gradient
  std::vector<Rows<float>> parameters;  // a vector is one row
};

void BackwardStep(Context& context, const StepContext& c, GradientContext& g, const Step& step);

}  // namespace kinetok
