// What the machine can do: the ceilings that benchmarks quote beside their figures.
#pragma once

#include <cstdint>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// Reads `data` once with all threads, `streams` (1..16) sequential streams a thread, prefetching `prefetch_bytes`
// ahead (0: not at all); returns a checksum so that nothing is optimised away. The caller times it.
float ReadProbe(Context& context, Span<const float> data, int streams, int64_t prefetch_bytes);

// Runs `iterations` rounds of independent fused multiply-adds in registers on every thread; returns the floating-point
// operations done. The caller times it.
int64_t FmaProbe(Context& context, int64_t iterations);

}  // namespace kinetok
