#include "bench/machine_peaks.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "bench/peak_loops.h"
#include "bench/read_patterns.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/thread_pool.h"

namespace krait::bench {
namespace {

constexpr int kRuns = 7;
constexpr std::int64_t kIterations = 400000;  // 2 to 10 ms

/// The best of several runs, in 1e9 operations a second of all threads together.
double peak_of(const PeakLoop& loop, ThreadPool& pool) {
  double best = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    pool.parallel_for(pool.size(), [&](std::int64_t, std::int64_t, int) { loop.run(kIterations); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, loop.operations * static_cast<double>(kIterations) * pool.size() / seconds * 1e-9);
  }
  return best;
}

}  // namespace

MachinePeaks measure_peaks(int threads, std::string_view isa) {
  // For its errors: an unknown name, and one that this processor lacks.
  static_cast<void>(cpu::choose_isa(isa, cpu::detect_cpu_features()));
  const PeakLoops loops = choose_peak_loops(isa);
  ThreadPool one(1);
  ThreadPool all(threads);
  MachinePeaks peaks;
  peaks.threads = all.size();
  peaks.isa = loops.isa;
  peaks.float32_one = peak_of(loops.float32, one);
  peaks.bfloat16_one = peak_of(loops.bfloat16, one);
  peaks.int8_one = peak_of(loops.int8, one);
  peaks.float32 = peak_of(loops.float32, all);
  peaks.bfloat16 = peak_of(loops.bfloat16, all);
  peaks.int8 = peak_of(loops.int8, all);
  const ReadBuffer buffer(all);
  peaks.read_one = buffer.best_rate(one);
  peaks.read = std::max(peaks.read_one, buffer.best_rate(all));
  return peaks;
}

double measure_read_bandwidth(int threads) {
  ThreadPool pool(threads);
  return ReadBuffer(pool).best_rate(pool);
}

std::string to_json(const MachinePeaks& peaks) {
  char text[512];
  std::snprintf(
      text, sizeof text,
      "{\"threads\": %d, \"isa\": \"%s\", \"float32_gflops\": %.1f, \"bfloat16_gflops\": %.1f, \"int8_gops\": "
      "%.1f, \"float32_gflops_1\": %.1f, \"bfloat16_gflops_1\": %.1f, \"int8_gops_1\": %.1f, \"read_gbs\": "
      "%.2f, \"read_gbs_1\": %.2f}",
      peaks.threads, peaks.isa.c_str(), peaks.float32, peaks.bfloat16, peaks.int8, peaks.float32_one,
      peaks.bfloat16_one, peaks.int8_one, peaks.read, peaks.read_one);
  return text;
}

}  // namespace krait::bench
