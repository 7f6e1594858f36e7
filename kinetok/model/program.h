// A configuration compiled to a static list of steps. Forward walks it, backward walks it in reverse, the planner of
// the training arena walks it too: nobody writes the block a second time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinetok/model/parameters.h"

namespace kinetok {

enum class Op : uint8_t {
  kEmbed,      // out = embedding[token], or the next row of in (+ token type) (+ position table)
  kNorm,       // out = norm(in)
  kLinear,     // out = in W^T + b
  kRope,       // rotates the q and k columns of in, in place
  kAttention,  // writes the k and v columns of in to the cache; out = attention of its q columns
  kActivate,   // out = f(in)
  kSwiGlu,     // out = silu(in[:, :w]) * in[:, w:]
  kScale,      // out = in * weight, column by column
  kAdd,        // out = in + in2
  kFeatures,   // out = in's rows of patches, beside in2's
  kDropout,    // out = dropout(in); compiled only for training with p > 0
};

// Which rows a buffer has; numbered, so that a pass holds the count of each.
struct RowKind {
  static constexpr int kDecoder = 0, kPatches = 1;             // the batch's rows; every image's patches
  static constexpr int Tower(int tower) { return 2 + tower; }  // prefix tokens and patches
};

// A row-major buffer [rows, width], written by exactly one step (Rope rewrites its columns in place) or, without a
// step, by the caller: the patches of the images.
struct Activations {
  std::string name;
  int64_t width = 0;
  int rows = RowKind::kDecoder;
  int layer = -1;                   // -1: outside the layers
  int first_use = 0, last_use = 0;  // steps of the forward pass
};

struct Step {
  Op op;
  int stack = 0;                          // 0: the decoder; 1 + t: tower t. The projector counts as the decoder's
  int layer = -1;                         // of the program: the decoder's, then those of the towers
  int in = -1, in2 = -1, out = -1;        // buffers
  int weight = -1, bias = -1;             // parameters; of kEmbed: the tokens' and the positions' tables
  int weight2 = -1;                       // kEmbed: the token types' table
  int statistics = -1, statistics2 = -1;  // buffers that training keeps: mean, inv_std, or log_sum
  Activation activation = {};             // kActivate
  double dropout = 0;                     // kDropout, kAttention
  uint32_t dropout_site = 0;
};

struct Program {
  // What to compile: a model's towers and projector, its decoder, or both in one.
  enum class Part : uint8_t { kVision, kDecoder, kAll };
  // `training` compiles the dropout steps in.
  static Program Compile(const ModelConfig& config, const ParameterList& list, bool training, Part part);

  std::vector<Step> steps;
  std::vector<Activations> buffers;
  std::vector<int> pixels;        // by tower: the buffer of its patches' normalised pixels
  int features = -1;              // the buffer that the projector gives: what the decoder sees of the images
  int layers = 0;                 // of all stacks
  int decoder_embed = -1;         // the step that begins the decoder
  int hidden = -1;                // the buffer of the last layer's output (after the final norm, if any)
  int output = -1;                // the buffer that the head reads
  int head = -1, head_bias = -1;  // parameters
};

}  // namespace kinetok
