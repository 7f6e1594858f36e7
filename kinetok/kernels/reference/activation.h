// The non-linearities in double precision, for tests and benchmarks. One element each.
#pragma once

#include "kinetok/kernels/activation.h"

namespace kinetok::reference {

double Activate(Activation f, double x);
double ActivateBackward(Activation f, double dy, double x);  // dy f'(x)

double SwiGlu(double gate, double up);  // silu(gate) up

struct SwiGluGradients {
  double dgate, dup;
};
SwiGluGradients SwiGluBackward(double dy, double gate, double up);

}  // namespace kinetok::reference
