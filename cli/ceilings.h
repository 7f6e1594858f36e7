// What this machine can do, measured now: the limits that `kinetok bench` quotes beside its figures.
#pragma once

#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok::cli {

class Ceilings {
 public:
  explicit Ceilings(Context& context);

  // Measures both ceilings once; to be called between the measurements that they are compared with.
  void Sample();

  // The best sample so far. Memory: over 1 to 16 streams a thread, with and without prefetch.
  double read_gb_per_s() const { return read_; }
  double fma_gflops() const { return fma_; }

 private:
  struct Way {
    int streams = 1;
    int64_t prefetch_bytes = 0;
    double gb_per_s = 0;
  };
  void Read(Way& way);
  Context& context_;
  Buffer data_;
  std::vector<Way> ways_;  // the best first
  int64_t fma_iterations_ = 1 << 10;
  double read_ = 0, fma_ = 0;
};

}  // namespace kinetok::cli
