// What this machine can do, measured now: the limits that `kinetok bench` quotes beside its figures.
#pragma once

#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok::cli {

struct Ceiling {
  double read_gb_per_s = 0, fma_gflops = 0;
};

class Ceilings {
 public:
  // Finds the fastest ways to read: 1 to 16 streams a thread, with and without prefetch.
  explicit Ceilings(Context& context);

  // Both ceilings as they are now (memory: the best of the six fastest ways); to be called between the measurements
  // that they are compared with, since a machine shared with others changes its speed within seconds.
  Ceiling Sample();

 private:
  struct Way {
    int streams = 1;
    int64_t prefetch_bytes = 0;
    double gb_per_s = 0;
  };
  double Read(const Way& way);
  Context& context_;
  Buffer data_;
  std::vector<Way> ways_;  // the best first
  int64_t fma_iterations_ = 1 << 10;
};

}  // namespace kinetok::cli
