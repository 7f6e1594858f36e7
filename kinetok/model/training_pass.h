// One training pass: forward over a ragged batch with teacher forcing, cross-entropy, and backward, walking the same
// Program as inference.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kinetok/kernels/context.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"

namespace kinetok {

// Whole sequences side by side. Row i of a sequence is its position i; it is trained to predict labels[i]. Rows without
// a token are the patches of the images, in order: as many in all as `pixels` has.
struct TrainingBatch {
  std::span<const int32_t> tokens;        // [rows], in [0, vocab_size), or -1: checked
  std::span<const int32_t> labels;        // [rows], in [0, vocab_size), or -1: no loss here
  std::span<const float> weights;         // [rows]: what each row's loss counts in the gradient, e.g. 1 / labelled rows
  std::span<const int32_t> lengths;       // [sequences], sum = rows, each <= the context
  std::span<const uint64_t> sample_keys;  // [sequences]: the sample's global index in the run (keys its dropout)
  std::span<const float> pixels = {};     // [images, 3 * towers, image_size, image_size], as of Model::EncodeImages
};

struct TrainingPassOptions {
  int64_t max_rows = 0;  // of one batch
  int64_t max_sequences = 0;
  int64_t max_length = 0;  // of one sequence
  int64_t max_images = 0;  // of one batch
  // Of all batches between two calls of Finish, which waits for every row's embedding gradient: [step_rows,
  // hidden_size] f32 are reserved for them by the first backward pass. 0: max_rows. For more rows than that the reserve
  // grows: no bit changes, but while it moves it is there twice.
  int64_t step_rows = 0;
  // At most this much memory holds logits at a time, or 16 rows of them where these are more: the head and its loss run
  // over chunks of rows. No bit depends on it.
  int64_t logits_chunk_bytes = 64 << 20;
  bool recompute = false;  // keep only the input of every layer, run the layer again in the backward pass
  bool backward = true;    // false: losses only (evaluation); the arena is then small
  bool dropout = true;     // compile the configuration's dropout in
  uint64_t dropout_seed = 0;
};

class TrainingPass {
 public:
  TrainingPass(const ModelConfig& config, const ParameterList& list, const TrainingPassOptions& options);
  ~TrainingPass();

  // Of the arena, planned now: values, gradients of values, logits chunk. Not step_rows' reserve.
  int64_t activation_bytes() const;

  // losses[i] = -log p(labels[i]) (0 where there is no label).   weights, gradients: flat [list.elements]
  // `predictions`, when not empty, gets the likeliest token of each row that has a label (the lowest id on a tie), else
  // -1.
  void Forward(Context& context, std::span<const float> weights, const TrainingBatch& batch, std::span<float> losses,
               std::span<int32_t> predictions = {});

  // The same, then adds d(sum_i batch.weights[i] * losses[i]) / d(weights) to `gradients`, but for the embeddings'
  // share, which Finish adds once all samples of the step are in. `step` keys the dropout. Samples fed in several calls
  // give the same bits as in one: gradients add up row by row, in order.
  void ForwardBackward(Context& context, std::span<const float> weights, const TrainingBatch& batch, uint64_t step,
                       std::span<float> losses, std::span<float> gradients);
  void Finish(Context& context, std::span<float> gradients);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kinetok
