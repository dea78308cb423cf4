// Micro-benchmarks of the CPU platform's operations at the shapes of granite-4.0-h-350m (hidden 768, 48 heads of 32,
// state 128). Each prints its rate and its share of what this machine does at most, which the program measures first:
// matrix products of many rows against the peak of their compute type, of few rows against the read bandwidth.
//   cmake --preset release -DKRAIT_BUILD_BENCH=ON && cmake --build --preset release --target kernel_bench
//   build/release/bench/kernel_bench

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "bench/machine_peaks.h"
#include "kernels/cpu/cpu_platform.h"
#include "kernels/operations.h"
#include "kernels/result.h"
#include "kernels/thread_pool.h"

namespace krait {
namespace {

const bench::MachinePeaks& peaks() {
  static const bench::MachinePeaks measured = bench::measure_peaks(0);
  return measured;
}

double compute_peak(DType dtype, bool one_thread) {
  const bench::MachinePeaks& peak = peaks();
  if (dtype == DType::kInt8) return one_thread ? peak.int8_one : peak.int8;
  if (dtype == DType::kBFloat16) return one_thread ? peak.bfloat16_one : peak.bfloat16;
  return one_thread ? peak.float32_one : peak.float32;
}

double read_peak(bool one_thread) { return one_thread ? peaks().read_one : peaks().read; }

/// The loop of a benchmark, timed by itself: a counter that is a rate is printed as one, and a share has no unit.
template <typename Step>
double seconds_of_iteration(benchmark::State& state, Step step) {
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    step();
    benchmark::ClobberMemory();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return seconds / static_cast<double>(state.iterations());
}

/// `amount` an iteration, as 1e9 a second and as a share of `peak`.
void report(benchmark::State& state, const char* unit, double amount, double seconds, double peak) {
  state.counters[unit] = amount / seconds * 1e-9;
  state.counters["% of peak"] = amount / seconds * 1e-7 / peak;
}

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

/// A weight type and what input rows are rounded to.
struct Format {
  const char* name;
  Quantization quantization;
  DType compute;
};

constexpr Format kFormats[] = {
    {"bf16-float32", Quantization::kNone, DType::kFloat32},   {"bf16-bfloat16", Quantization::kNone, DType::kBFloat16},
    {"int8-bfloat16", Quantization::kInt8, DType::kBFloat16}, {"int8-int8", Quantization::kInt8, DType::kInt8},
    {"int4-bfloat16", Quantization::kInt4, DType::kBFloat16}, {"int4-int8", Quantization::kInt4, DType::kInt8}};

/// Below this many rows the weights' way from memory decides.
constexpr std::int64_t kFewRows = 8;

/// rows x [out, in].
void linear(benchmark::State& state, const Format& format) {
  const std::int64_t rows = state.range(0);
  const std::int64_t out = state.range(1);
  const std::int64_t in = state.range(2);
  const bool one_thread = state.range(3) == 1;
  Bench bench(static_cast<int>(state.range(3)));
  std::vector<std::uint16_t> weight(static_cast<std::size_t>(out * in), float_to_bfloat16(0.01F));
  const PackedWeight packed =
      bench.platform.pack({.parts = {{weight.data(), DType::kBFloat16, {out, in}}}, .biases = {}},
                          {.quantization = format.quantization, .compute_dtype = format.compute}, {});
  auto x = random_values(static_cast<std::size_t>(rows * in));
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  const double seconds = seconds_of_iteration(state, [&] {
    bench.queue->ops().linear({.weight = &packed, .x = matrix(x, rows), .y = matrix(y, rows), .epilogue = {}});
  });
  if (rows < kFewRows)
    return report(state, "GB/s", static_cast<double>(packed.bytes()), seconds, read_peak(one_thread));
  report(state, "GFLOP/s", 2.0 * static_cast<double>(rows * out * in), seconds,
         compute_peak(format.compute, one_thread));
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
  const double seconds = seconds_of_iteration(state, [&] { bench.queue->ops().selective_state_update(args); });
  // Read and written.
  const double bytes = 2.0 * static_cast<double>(slot * static_cast<std::size_t>(batch) * sizeof(float));
  report(state, "GB/s", bytes, seconds, read_peak(state.range(1) == 1));
}

/// The recurrence over a prompt of one layer: a multiplication, and two fused multiply-adds a state element and token.
void ssm_scan(benchmark::State& state) {
  constexpr int kHeads = 48;
  constexpr int kHeadDim = 32;
  constexpr int kState = 128;
  const std::int64_t tokens = state.range(0);
  Bench bench(static_cast<int>(state.range(1)));
  const auto count = static_cast<std::size_t>(tokens);
  std::vector<float> states(std::size_t{2} * kHeads * kHeadDim * kState);
  auto x = random_values(count * kHeads * kHeadDim);
  auto dt = random_values(count * kHeads);
  auto b = random_values(count * kState);
  auto c = random_values(count * kState);
  std::vector<float> a(kHeads, -1.0F);
  std::vector<float> y(x.size());
  const std::vector<std::int32_t> starts = {0, static_cast<std::int32_t>(tokens)};
  const std::vector<std::int32_t> slots = {1};
  const std::vector<std::uint8_t> fresh = {0};
  SsmScanArgs args;
  args.x = matrix(x, tokens);
  args.b = matrix(b, tokens);
  args.c = matrix(c, tokens);
  args.dt = matrix(dt, tokens);
  args.a = {a.data(), DType::kFloat32, {kHeads}};
  args.heads = kHeads;
  args.head_dim = kHeadDim;
  args.state_size = kState;
  args.batch = {.query_start_loc = starts, .state_read = slots, .state_write = slots, .has_initial_state = fresh};
  args.state.recurrent = reinterpret_cast<std::byte*>(states.data());
  args.state.slot_stride = states.size() / 2 * sizeof(float);
  args.y = matrix(y, tokens);
  const double seconds = seconds_of_iteration(state, [&] { bench.queue->ops().ssm_scan(args); });
  const double elements = static_cast<double>(tokens) * kHeads * kHeadDim * kState;
  report(state, "GFLOP/s", 5.0 * elements, seconds, compute_peak(DType::kFloat32, state.range(1) == 1));
}

/// `tokens` new ones of each of `requests`, over `context` earlier ones: two products of head_dim a key and head. One
/// token of a request waits for the keys and values.
void attention(benchmark::State& state) {
  const auto kv_heads = static_cast<int>(state.range(4));
  const int heads = 3 * kv_heads;
  constexpr int kHeadDim = 64;
  constexpr int kBlock = 16;
  const std::int64_t requests = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::int64_t context = state.range(2);
  Bench bench(static_cast<int>(state.range(3)));
  const std::int64_t pages = (context + tokens + kBlock - 1) / kBlock;
  const std::size_t page_size = std::size_t{2} * kBlock * kHeadDim * static_cast<std::size_t>(kv_heads);
  const auto bytes = page_size * static_cast<std::size_t>(pages * requests) * sizeof(std::uint16_t);
  const Buffer cache = bench.platform.allocate(bytes);
  std::fill_n(static_cast<std::uint16_t*>(cache.data.get()), bytes / sizeof(std::uint16_t), float_to_bfloat16(0.01F));
  auto q = random_values(static_cast<std::size_t>(requests * tokens * heads) * kHeadDim);
  std::vector<float> out(q.size());
  std::vector<std::int32_t> starts = {0};
  std::vector<std::int32_t> lengths;
  std::vector<std::int32_t> table;
  for (std::int64_t r = 0; r < requests; ++r) {
    starts.push_back(static_cast<std::int32_t>((r + 1) * tokens));
    lengths.push_back(static_cast<std::int32_t>(context + tokens));
    for (std::int64_t page = 0; page < pages; ++page) table.push_back(static_cast<std::int32_t>(r * pages + page));
  }
  PagedAttentionArgs args;
  args.q = matrix(q, requests * tokens);
  args.cache = {.base = static_cast<std::byte*>(cache.data.get()),
                .page_stride = page_size * sizeof(std::uint16_t),
                .value_offset = page_size / 2 * sizeof(std::uint16_t),
                .block_size = kBlock,
                .kv_heads = kv_heads,
                .head_dim = kHeadDim,
                .dtype = DType::kBFloat16};
  args.query_start_loc = starts;
  args.seq_lens = lengths;
  args.block_table = table;
  args.max_blocks = static_cast<std::int32_t>(pages);
  args.scale = 0.125F;
  args.out = matrix(out, requests * tokens);
  const double seconds = seconds_of_iteration(state, [&] { bench.queue->ops().paged_attention(args); });
  const double keys = static_cast<double>(context) + static_cast<double>(tokens + 1) / 2;
  const bool one_thread = state.range(3) == 1;
  if (tokens == 1) return report(state, "GB/s", static_cast<double>(bytes), seconds, read_peak(one_thread));
  const double flop = 4.0 * static_cast<double>(requests * tokens) * keys * heads * kHeadDim;
  report(state, "GFLOP/s", flop, seconds, compute_peak(DType::kFloat32, one_thread));
}

/// What a parallel region costs beside its work, while the workers spin between two: a decode step of a model has some
/// hundreds.
void parallel_region(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const double seconds =
      seconds_of_iteration(state, [&] { pool.parallel_for(state.range(0), [](std::int64_t, std::int64_t, int) {}); });
  state.counters["us"] = seconds * 1e6;
}

/// Whether this platform and this build have the format.
bool is_served(const Format& format) {
  CpuPlatform platform(CpuOptions{.threads = 1});
  if (!platform.supports_compute_dtype(format.compute)) return false;
  constexpr std::int64_t kSide = 256;
  std::vector<std::uint16_t> weight(kSide * kSide, float_to_bfloat16(0.01F));
  try {
    static_cast<void>(platform.pack({.parts = {{weight.data(), DType::kBFloat16, {kSide, kSide}}}},
                                    {.quantization = format.quantization, .compute_dtype = format.compute}, {}));
  } catch (const StartupError&) {
    return false;
  }
  return true;
}

/// The input and output projections of a mixer and the head, for formats that this platform has.
void register_linear() {
  for (const Format& format : kFormats) {
    if (!is_served(format)) continue;
    auto* family = benchmark::RegisterBenchmark(("linear/" + std::string(format.name)).c_str(),
                                                [&format](benchmark::State& state) { linear(state, format); });
    family->ArgNames({"rows", "out", "in", "threads"})->UseRealTime();
    for (const std::int64_t threads : {std::int64_t{1}, std::int64_t{peaks().threads}}) {
      family->Args({1, 3376, 768, threads})->Args({1, 100352, 768, threads});
      family->Args({16, 3376, 768, threads})->Args({512, 3376, 768, threads})->Args({512, 768, 2048, threads});
      if (peaks().threads == 1) break;
    }
  }
}

BENCHMARK(state_update)->ArgNames({"batch", "threads"})->Args({1, 1})->Args({16, 1})->Args({16, 2})->UseRealTime();
BENCHMARK(attention)
    ->ArgNames({"requests", "tokens", "context", "threads", "kv_heads"})
    ->Args({1, 512, 0, 2, 4})
    ->Args({1, 512, 7488, 2, 4})
    ->Args({1, 14, 7986, 2, 4})
    ->Args({16, 1, 1000, 1, 4})
    ->Args({16, 1, 1000, 2, 4})
    ->Args({1, 1, 8191, 2, 4})
    ->Args({1, 1, 32767, 1, 1})
    ->Args({1, 1, 32767, 2, 1})
    ->UseRealTime();
BENCHMARK(parallel_region)->ArgNames({"threads"})->Args({2})->UseRealTime();
BENCHMARK(ssm_scan)->ArgNames({"tokens", "threads"})->Args({512, 1})->Args({512, 2})->UseRealTime();

}  // namespace
}  // namespace krait

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  std::fprintf(stderr, "peaks: %s\n", krait::bench::to_json(krait::peaks()).c_str());
  krait::register_linear();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
