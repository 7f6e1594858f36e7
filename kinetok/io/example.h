// What training learns from, whatever it was: a text, a question with its answer, a camera's image with the action that
// followed. The trainer knows nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinetok/base/json.h"

namespace kinetok {

// One sequence. Position i is to predict labels[i], usually tokens[i + 1].
struct Example {
  static constexpr int32_t kPatch = -1;    // in `tokens`: the next patch of the images
  static constexpr int32_t kNoLabel = -1;  // in `labels`: nothing is learned here

  std::vector<int32_t> tokens, labels;
  std::vector<float> pixels;  // of its images, as of Model::EncodeImages; empty without
  int64_t labelled() const;
};

// Many examples of one kind, read as they are needed. Thread-safe.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;

  // Example number `index` of a run's draws from this source: a function of the seed and the index alone.
  virtual Example Draw(uint64_t seed, uint64_t index) const = 0;
  // How many there are to draw from: 1 epoch. Of text, as many as blocks fit into it.
  virtual int64_t examples() const = 0;
  // The examples that are kept from training, in order.
  virtual int64_t held_out() const = 0;
  virtual Example HeldOut(int64_t index) const = 0;

  virtual int64_t max_length() const = 0;  // positions of the longest example, held-out ones included
  virtual bool has_images() const = 0;     // whether some carry one
  // Throws Error naming the first token outside a vocabulary of that size, and whatever else makes it unusable.
  virtual void Check(int64_t vocab_size) const = 0;

  virtual std::string Summary() const = 0;  // for people: "9000 training tokens, 1000 validation tokens"
  // What decides the bits of its draws, and of what is held out; null when that is empty. A resumed run compares them.
  virtual OrderedJson Describe() const = 0;
  virtual OrderedJson DescribeHeldOut() const = 0;
};

// A permutation of 0 .. n - 1 for each epoch of a seed, without memory: where example `index` of an endless shuffled
// reading lies. Every epoch of n draws visits each once.
int64_t ShuffledIndex(uint64_t seed, uint64_t index, int64_t n);

}  // namespace kinetok
