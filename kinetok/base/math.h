// Our own elementary functions in double precision, for schedules, position tables and sampling: the C library's differ
// between versions and machines in the last bit, these do not. Only +, -, *, /, sqrt and fma of IEEE-754 are used.
// Each is within 2 ulp over the stated range.
#pragma once

namespace kinetok {

double Exp(double x);            // any x; overflow gives infinity, underflow 0
double Log(double x);            // x > 0; 0 gives -infinity, negative or NaN gives NaN
double Pow(double x, double y);  // x > 0 (or x == 0 and y > 0); relative error <= 1e-14 for |y log x| < 700
double Sin(double x);            // |x| <= 2^20 * pi
double Cos(double x);
double Tanh(double x);
double Erf(double x);

}  // namespace kinetok
