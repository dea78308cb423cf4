// Micro-benchmarks of the CPU platform's operations at the shapes of granite-4.0-h-350m (hidden 768, 48 heads of 32,
// state 128). Each prints its own rate: FLOP/s for matrix products, bytes/s for what memory bounds.
//   cmake --preset release -DKRAIT_BUILD_BENCH=ON && cmake --build --preset release --target kernel_bench
//   build/release/bench/kernel_bench

#include <benchmark/benchmark.h>

#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/cpu_platform.h"
#include "kernels/operations.h"

namespace krait {
namespace {

struct Bench {
  explicit Bench(int threads) : platform(CpuOptions{.threads = threads}), queue(platform.create_queue()) {}
  CpuPlatform platform;
  std::unique_ptr<Queue> queue;
};

std::vector<float> random_values(std::size_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> value(-1.0F, 1.0F);
  std::vector<float> values(count);
  for (float& v : values) v = value(generator);
  return values;
}

TensorView matrix(std::vector<float>& data, std::int64_t rows) {
  return {data.data(), DType::kFloat32, {rows, static_cast<std::int64_t>(data.size()) / rows}};
}

/// rows x [out, in] in bfloat16 weights.
void linear(benchmark::State& state) {
  const std::int64_t rows = state.range(0);
  const std::int64_t out = state.range(1);
  const std::int64_t in = state.range(2);
  Bench bench(static_cast<int>(state.range(3)));
  std::vector<std::uint16_t> weight(static_cast<std::size_t>(out * in), float_to_bfloat16(0.01F));
  const PackedWeight packed =
      bench.platform.pack({.parts = {{weight.data(), DType::kBFloat16, {out, in}}}, .biases = {}},
                          {.compute_dtype = bench.platform.default_compute_dtype()}, {});
  auto x = random_values(static_cast<std::size_t>(rows * in));
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  for (auto _ : state) {
    bench.queue->ops().linear({.weight = &packed, .x = matrix(x, rows), .y = matrix(y, rows), .epilogue = {}});
    benchmark::ClobberMemory();
  }
  const double per_second = static_cast<double>(state.iterations());
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(rows * out * in) * per_second, benchmark::Counter::kIsRate);
  state.counters["weight bytes/s"] =
      benchmark::Counter(static_cast<double>(packed.bytes()) * per_second, benchmark::Counter::kIsRate);
}

/// The state update of `batch` decodes of one layer.
void state_update(benchmark::State& state) {
  constexpr int kHeads = 48;
  constexpr int kHeadDim = 32;
  constexpr int kState = 128;
  const std::int64_t batch = state.range(0);
  Bench bench(static_cast<int>(state.range(1)));
  const std::size_t slot = std::size_t{kHeads} * kHeadDim * kState;
  std::vector<float> states(slot * static_cast<std::size_t>(batch + 1));
  auto x = random_values(static_cast<std::size_t>(batch) * kHeads * kHeadDim);
  auto dt = random_values(static_cast<std::size_t>(batch) * kHeads);
  auto b = random_values(static_cast<std::size_t>(batch) * kState);
  auto c = random_values(static_cast<std::size_t>(batch) * kState);
  std::vector<float> a(kHeads, -1.0F);
  std::vector<float> y(x.size());
  std::vector<std::int32_t> slots;
  for (std::int32_t i = 1; i <= batch; ++i) slots.push_back(i);
  SelectiveStateUpdateArgs args;
  args.x = matrix(x, batch);
  args.dt = matrix(dt, batch);
  args.b = matrix(b, batch);
  args.c = matrix(c, batch);
  args.a = a.data();
  args.dt_max = std::numeric_limits<float>::infinity();
  args.heads = kHeads;
  args.head_dim = kHeadDim;
  args.state_size = kState;
  args.state_read = slots;
  args.state_write = slots;
  args.state.recurrent = reinterpret_cast<std::byte*>(states.data());
  args.state.slot_stride = slot * sizeof(float);
  args.y = matrix(y, batch);
  for (auto _ : state) {
    bench.queue->ops().selective_state_update(args);
    benchmark::ClobberMemory();
  }
  const double elements =
      static_cast<double>(slot) * static_cast<double>(batch) * static_cast<double>(state.iterations());
  state.counters["state elements/s"] = benchmark::Counter(elements, benchmark::Counter::kIsRate);
}

BENCHMARK(linear)
    ->ArgNames({"rows", "out", "in", "threads"})
    ->Args({1, 3376, 768, 1})
    ->Args({1, 100352, 768, 2})
    ->Args({16, 3376, 768, 1})
    ->Args({512, 3376, 768, 1})
    ->Args({512, 3376, 768, 2})
    ->UseRealTime();
BENCHMARK(state_update)->ArgNames({"batch", "threads"})->Args({1, 1})->Args({16, 2})->UseRealTime();

}  // namespace
}  // namespace krait

BENCHMARK_MAIN();
