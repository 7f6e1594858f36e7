// Matrix kernels beside the limits of the machine, measured in the same run:
//
//   kernels_bench [--isa auto|portable|avx2|avx512] [--threads N] [--rounds N] [--only decode|prefill|train|nano]
//                 [--clock wall|cpu]
//
// Decode (few rows) is quoted in GB/s of weights and as a share of the best memory read found with 1 to 16 streams a
// thread; products with many rows in GFLOP/s and as a share of the peak of fused multiply-adds. Every round measures
// each shape and its limit one after the other; the figures are medians over the rounds, the share the median of the
// rounds' ratios, so that a machine shared with others disturbs both alike. On a machine that has no core to spare,
// `--threads 1 --clock cpu` counts the time that the process ran instead of the time that passed.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/kernels/gemm.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/kernels/probe.h"

namespace kinetok {
namespace {

bool cpu_clock = false;

double Now() {
  timespec t;
  clock_gettime(cpu_clock ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double Seconds(const std::function<void()>& fn) {
  const double start = Now();
  fn();
  return Now() - start;
}

// Long enough to be timed: repeats fn until 20 ms have passed.
double SecondsEach(const std::function<void()>& fn) {
  int64_t repeats = 1;
  for (;;) {
    const double seconds = Seconds([&] {
      for (int64_t i = 0; i < repeats; ++i) fn();
    });
    if (seconds > 0.02) return seconds / static_cast<double>(repeats);
    repeats = std::max(repeats * 2, static_cast<int64_t>(0.025 * static_cast<double>(repeats) / (seconds + 1e-9)));
  }
}

double Median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<int64_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

float volatile sink;

class Bench {
 public:
  Bench(Context& context, int rounds) : context_(context), rounds_(rounds), memory_(int64_t{512} << 20) {
    float* data = memory_.As<float>().data();
    for (int64_t i = 0; i < memory_.bytes() / 4; ++i) data[i] = 1.0f;
    double best = 0;
    for (const int streams : {1, 2, 4, 8, 12, 16}) {
      for (const int64_t ahead : {0, 1024, 2048}) {
        for (int i = 0; i < 2; ++i) {
          const double rate = ReadRate(streams, ahead);
          if (rate > best) best = rate, streams_ = streams, ahead_ = ahead;
        }
      }
    }
    std::printf("%s, %d threads: reads %.1f GB/s with %d streams a thread, prefetch %d bytes; FMA peak %.0f GFLOP/s\n",
                std::string(IsaName(context.isa())).c_str(), context.threads(), best, streams_,
                static_cast<int>(ahead_), Peak());
    std::printf("%-34s %10s %10s %10s %7s\n", "", "ms", "rate", "limit", "share");
  }

  void Flops(const std::string& name, double flops, const std::function<void()>& fn) {
    Report(name, flops, "GFLOP/s", fn, [this] { return Peak(); });
  }
  void Bytes(const std::string& name, double bytes, const std::function<void()>& fn) {
    Report(name, bytes, "GB/s", fn, [this] { return ReadRate(streams_, ahead_); });
  }
  Context& context() { return context_; }

 private:
  double ReadRate(int streams, int64_t ahead) {
    return static_cast<double>(memory_.bytes()) * 1e-9 /
           Seconds([&] { sink = ReadProbe(context_, memory_.As<const float>(), streams, ahead); });
  }
  double Peak() {
    int64_t operations = 0;
    const double seconds = Seconds([&] { operations = FmaProbe(context_, 400000); });
    return static_cast<double>(operations) * 1e-9 / seconds;
  }
  void Report(const std::string& name, double work, const char* unit, const std::function<void()>& fn,
              const std::function<double()>& limit) {
    std::vector<double> times, limits, shares;
    for (int i = 0; i < rounds_; ++i) {
      times.push_back(SecondsEach(fn));
      limits.push_back(limit());
      shares.push_back(work * 1e-9 / times.back() / limits.back());
    }
    std::printf("%-34s %10.3f %10.1f %10.1f %6.1f%%  %s\n", name.c_str(), Median(times) * 1e3,
                work * 1e-9 / Median(times), Median(limits), Median(shares) * 100, unit);
    std::fflush(stdout);
  }

  Context& context_;
  int rounds_;
  Buffer memory_;
  int streams_ = 1;
  int64_t ahead_ = 0;
};

Buffer Floats(int64_t count) {
  Buffer out(count * 4);
  float* data = out.As<float>().data();
  for (int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(i % 61 - 30) * 0.01f;
  return out;
}

void Packed(Bench& bench, const char* what, int64_t m, int64_t n, int64_t k, DType dtype) {
  // As many matrices as exceed the caches, taken in turn: a model's layers.
  const Buffer source = Floats(n * k), x = Floats(m * k), y = Floats(m * n);
  const int64_t bytes = n * k * DTypeSize(dtype);
  const int64_t copies = m <= 8 ? std::max<int64_t>(1, (int64_t{400} << 20) / bytes) : 1;
  std::vector<PackedMatrix> w;
  for (int64_t i = 0; i < copies; ++i) {
    w.emplace_back(n, k, dtype);
    w.back().SetRows(bench.context(), 0, {.data = source.data(), .rows = n, .columns = k, .row_stride = k});
  }
  const auto run = [&] {
    for (const PackedMatrix& matrix : w) {
      MatMul(bench.context(), {x.As<float>().data(), m, k}, matrix, {}, {y.As<float>().data(), m, n});
    }
  };
  const std::string name = fmt::format("{} {} M={} {}x{}", what, DTypeName(dtype), m, n, k);
  if (m <= 8) {
    bench.Bytes(name, static_cast<double>(bytes * copies), run);
  } else {
    bench.Flops(name, 2.0 * static_cast<double>(m * n * k), run);
  }
}

void Load(Bench& bench, int64_t n, int64_t k, DType from, DType to) {
  const Buffer source = Floats(n * k * DTypeSize(from) / 4);
  PackedMatrix w(n, k, to);
  bench.Bytes(fmt::format("pack {} to {} {}x{}", DTypeName(from), DTypeName(to), n, k),
              static_cast<double>(n * k * (DTypeSize(from) + DTypeSize(to))), [&] {
                w.SetRows(bench.context(), 0,
                          {.data = source.data(), .dtype = from, .rows = n, .columns = k, .row_stride = k});
              });
}

void Train(Bench& bench, int64_t m, int64_t k, int64_t n) {
  const Buffer x = Floats(m * k), w = Floats(n * k), y = Floats(m * n), dx = Floats(m * k), dw = Floats(n * k);
  const Rows<float> xs(x.As<float>().data(), m, k), ws(w.As<float>().data(), n, k), ys(y.As<float>().data(), m, n);
  const Rows<float> dxs(dx.As<float>().data(), m, k), dws(dw.As<float>().data(), n, k);
  const double flops = 2.0 * static_cast<double>(m * n * k);
  Context& c = bench.context();
  const std::string shape = fmt::format("M={} {}x{}", m, k, n);
  bench.Flops("forward  " + shape, flops, [&] { LinearForward(c, xs, ws, {}, ys); });
  bench.Flops("d input  " + shape, flops, [&] { LinearBackwardInput(c, ys, ws, false, dxs); });
  bench.Flops("d weight " + shape, flops, [&] { LinearBackwardWeight(c, ys, xs, dws, {}); });
}

void Main(int argc, char** argv) {
  ContextOptions options;
  int rounds = 7;
  std::string_view only;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (i + 1 == argc) Fail("{} needs a value", flag);
    if (flag == "--isa") {
      options.isa = argv[i + 1];
    } else if (flag == "--threads") {
      options.threads = std::stoi(argv[i + 1]);
    } else if (flag == "--rounds") {
      rounds = std::stoi(argv[i + 1]);
    } else if (flag == "--only") {
      only = argv[i + 1];
    } else if (flag == "--clock") {
      cpu_clock = std::string_view(argv[i + 1]) == "cpu";
    } else {
      Fail("{} is unknown; --isa, --threads, --rounds, --only and --clock are known", flag);
    }
  }
  Context context(options);
  Bench bench(context, rounds);
  const auto wants = [&](std::string_view part) { return only.empty() || only == part; };
  if (wants("decode")) {
    for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
      Packed(bench, "decode", 1, 2048, 2048, dtype);
      Packed(bench, "decode", 1, 5632, 2048, dtype);
      Packed(bench, "decode", 1, 2048, 5632, dtype);
      Packed(bench, "decode", 1, 32000, 2048, dtype);
    }
    for (const int64_t m : {2, 3, 4, 6, 8}) Packed(bench, "decode", m, 5632, 2048, DType::kF16);
    Load(bench, 32000, 2048, DType::kF16, DType::kF16);
    Load(bench, 32000, 2048, DType::kBF16, DType::kF32);
    Load(bench, 32000, 2048, DType::kF32, DType::kF16);
  }
  if (wants("prefill")) {
    for (const DType dtype : {DType::kF32, DType::kF16}) {
      Packed(bench, "prefill", 256, 2048, 2048, dtype);
      Packed(bench, "prefill", 256, 5632, 2048, dtype);
      Packed(bench, "prefill", 256, 2048, 5632, dtype);
    }
    Packed(bench, "prefill", 16, 5632, 2048, DType::kF16);
    Packed(bench, "prefill", 64, 5632, 2048, DType::kF16);
  }
  if (wants("train")) {
    for (const int64_t m : {256, 1024}) {
      Train(bench, m, 768, 2304);
      Train(bench, m, 768, 768);
      Train(bench, m, 768, 3072);
      Train(bench, m, 3072, 768);
    }
    Train(bench, 256, 768, 50257);
  }
  if (wants("nano")) {
    Train(bench, 768, 128, 384);
    Train(bench, 768, 128, 128);
    Train(bench, 768, 128, 512);
    Train(bench, 768, 512, 128);
    Train(bench, 768, 128, 65);
  }
}

}  // namespace
}  // namespace kinetok

int main(int argc, char** argv) {
  try {
    kinetok::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernels_bench: error: %s\n", error.what());
    return 1;
  }
}
