#include "cli/ceilings.h"

#include <algorithm>

#include "cli/cli.h"
#include "kinetok/kernels/probe.h"

namespace kinetok::cli {
namespace {

constexpr int64_t kReadBytes = int64_t{256} << 20;  // far beyond any cache of the machines meant
constexpr double kFmaSeconds = 0.03;

}  // namespace

Ceilings::Ceilings(Context& context) : context_(context), data_(kReadBytes) {
  const std::span<float> data = data_.As<float>();
  // Written once, so that every page is real; the kernel maps untouched ones to one page of zeros.
  ParallelFor(context_, static_cast<int64_t>(data.size()), 1 << 20,
              [&](int64_t first, int64_t last, int) { std::fill(data.begin() + first, data.begin() + last, 1.0f); });
  for (int streams : {1, 2, 4, 8, 12, 16}) {
    for (int64_t prefetch_bytes : {0, 1024, 2048}) ways_.push_back({streams, prefetch_bytes, 0});
  }
  for (Way& way : ways_) way.gb_per_s = Read(way);
  std::sort(ways_.begin(), ways_.end(), [](const Way& a, const Way& b) { return a.gb_per_s > b.gb_per_s; });
  while (true) {
    const Stopwatch clock;
    FmaProbe(context_, fma_iterations_);
    if (clock.Seconds() > kFmaSeconds) break;
    fma_iterations_ *= 2;
  }
}

double Ceilings::Read(const Way& way) {
  const Stopwatch clock;
  ReadProbe(context_, data_.As<float>(), way.streams, way.prefetch_bytes);
  return static_cast<double>(kReadBytes) / clock.Seconds() / 1e9;
}

Ceiling Ceilings::Sample() {
  Ceiling now;
  for (size_t i = 0; i < 6; ++i) now.read_gb_per_s = std::max(now.read_gb_per_s, Read(ways_[i]));
  const Stopwatch clock;
  const auto operations = static_cast<double>(FmaProbe(context_, fma_iterations_));
  now.fma_gflops = operations / clock.Seconds() / 1e9;
  return now;
}

}  // namespace kinetok::cli
