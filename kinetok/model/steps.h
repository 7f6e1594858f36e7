// Executes steps of a Program, forward and backward, over buffers that the caller has placed. Internal to model/.
#pragma once

#include <cstdint>
#include <vector>

#include "kinetok/kernels/attention.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/kernels/rope.h"
#include "kinetok/model/program.h"

namespace kinetok {

// A parameter as the steps read it: packed (inference) or plain (training); vectors and the position table are plain.
struct ParameterView {
  const PackedMatrix* packed = nullptr;
  Rows<const float> plain;  // a matrix; a vector is one row
  Span<const float> vector() const { return {plain.data, static_cast<size_t>(plain.width)}; }
};

// What one pass over a batch works on.
struct StepContext {
  const ModelConfig* config = nullptr;
  const Program* program = nullptr;
  Span<const ParameterView> parameters;
  const RopeTable* rope = nullptr;

  Span<const int32_t> tokens, positions;                 // [rows]
  std::vector<Span<const AttentionRow>> attention_rows;  // by layer
  std::vector<KvPages> kv;                               // by layer
  std::vector<Rows<float>> buffers;                      // by Program::buffers index
  DropoutSite dropout;                                   // seed and step
  Span<const uint64_t> dropout_keys;                     // [rows]
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
