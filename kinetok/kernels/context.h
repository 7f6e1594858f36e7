// What every operation gets first: the threads, the instruction set, and scratch memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kinetok/base/thread_pool.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok {

// kPortable is compiled twice: with the machine's fused multiply-add, and for the baseline, where it calls fmaf.
// All of them give the same bits.
enum class Isa : uint8_t { kPortable, kPortableFma, kAvx2, kAvx512 };

std::string_view IsaName(Isa isa);  // "portable", "portable-fma", "avx2", "avx512"
bool IsaSupported(Isa isa);         // compiled in, and this CPU and kernel have it
Isa BestIsa();                      // the widest supported one
std::vector<Isa> SupportedIsas();   // for tests: every supported one
// "auto", "portable" (with FMA where the CPU has it), "portable-baseline", "avx2", "avx512". Error when unknown or
// not supported here.
Isa ParseIsa(std::string_view name);

struct ContextOptions {
  int threads = 0;  // 0: AvailableCores()
  std::string_view isa = "auto";
};

class Context {
 public:
  explicit Context(ContextOptions options = {});
  Context(int threads, Isa isa);

  ThreadPool& pool() { return pool_; }
  int threads() const { return pool_.threads(); }
  Isa isa() const { return isa_; }

  // Scratch for one worker, at least `bytes`, 64-byte aligned, contents undefined; valid until the next call for the
  // same worker. May be called by that worker inside ParallelFor.
  std::span<std::byte> Scratch(int worker, int64_t bytes);
  // The same, one for all workers; to be called outside ParallelFor.
  std::span<std::byte> SharedScratch(int64_t bytes);

 private:
  ThreadPool pool_;
  Isa isa_;
  std::vector<Buffer> scratch_;
  Buffer shared_scratch_;
};

// fn(first, last, worker) over [0, n) in consecutive pieces of `grain` (the last may be shorter). Which worker takes
// which piece is not defined: fn's results may depend on its indices alone.
template <class F>
void ParallelFor(Context& context, int64_t n, int64_t grain, F&& fn) {
  const int64_t pieces = (n + grain - 1) / grain;
  auto piece = [&](int64_t task, int worker) {
    const int64_t first = task * grain;
    fn(first, first + grain < n ? first + grain : n, worker);
  };
  context.pool().Run(pieces, piece);
}

}  // namespace kinetok
