// The non-linearities in double precision, for tests and benchmarks.
#pragma once

#include "kinetok/kernels/activation.h"

namespace kinetok::reference {

double Activate(Activation f, double x);

}  // namespace kinetok::reference
