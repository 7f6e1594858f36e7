// A configuration compiled to a static list of steps. Forward walks it, backward walks it in reverse, the planner of
// the training arena walks it too: nobody writes the block a second time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinetok/model/parameters.h"

namespace kinetok {

enum class Op : uint8_t {
  kEmbed,      // out = embedding[token] (+ token type) (+ position table)
  kNorm,       // out = norm(in)
  kLinear,     // out = in W^T + b
  kRope,       // rotates the q and k columns of in, in place
  kAttention,  // writes the k and v columns of in to the cache; out = attention of its q columns
  kActivate,   // out = f(in)
  kSwiGlu,     // out = silu(in[:, :w]) * in[:, w:]
  kAdd,        // out = in + in2
  kDropout,    // out = dropout(in); compiled only for training with p > 0
};

// A row-major buffer [rows of the batch, width], written by exactly one step (Rope rewrites its columns in place).
struct Activations {
  std::string name;
  int64_t width = 0;
  int layer = -1;                   // -1: outside the layers
  int first_use = 0, last_use = 0;  // steps of the forward pass
};

struct Step {
  Op op;
  int layer = -1;
  int in = -1, in2 = -1, out = -1;        // buffers
  int weight = -1, bias = -1;             // parameters; of kEmbed: the tokens' and the positions' tables
  int weight2 = -1;                       // kEmbed: the token types' table
  int statistics = -1, statistics2 = -1;  // buffers that training keeps: mean, inv_std, or log_sum
  double dropout = 0;                     // kDropout, kAttention
  uint32_t dropout_site = 0;
};

struct Program {
  // `training` compiles the dropout steps in.
  static Program Compile(const ModelConfig& config, const ParameterList& list, bool training);

  std::vector<Step> steps;
  std::vector<Activations> buffers;
  int hidden = -1;                // the buffer of the last layer's output (after the final norm, if any)
  int output = -1;                // the buffer that the head reads
  int head = -1, head_bias = -1;  // parameters
};

}  // namespace kinetok
