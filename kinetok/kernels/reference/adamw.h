// AdamW in double precision, for tests and benchmarks.
#pragma once

#include "kinetok/kernels/adamw.h"

namespace kinetok::reference {

// One element.
void AdamW(const AdamWStep& step, double gradient, double* weight, double* m, double* v);

}  // namespace kinetok::reference
