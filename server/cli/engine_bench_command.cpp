#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/thread_pool.h"
#include "server/cli/commands.h"
#include "server/cli/engine_bench.h"
#include "server/cli/loading.h"
#include "server/cli/server_options.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

using nlohmann::ordered_json;

struct Spread {
  double lowest = 0.0;
  double median = 0.0;
  double highest = 0.0;
};

/// Of an even number, the lower of the two in the middle.
Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  return {.lowest = values.front(), .median = values[(values.size() - 1) / 2], .highest = values.back()};
}

/// Memory that a decode moved a second at this rate.
double decode_gigabytes(const ModelSummary& summary, const EngineTest& test, double tokens_per_second) {
  const double steps = tokens_per_second / test.batch;
  return steps * static_cast<double>(decode_step_bytes(summary, test)) * 1e-9;
}

ordered_json result_json(const ModelSummary& summary, const EngineTestResult& result, const std::string& weights,
                         int threads) {
  const EngineTest& test = result.test;
  const Spread spread = spread_of(result.tokens_per_second);
  ordered_json out = {
      {"model", summary.name},
      {"platform", summary.platform},
      {"compute_dtype", dtype_name(summary.compute_dtype)},
      {"quantization", weights},
      {"parameters", summary.parameters},
      {"weight_bytes", summary.weight_bytes},
      {"streamed_parameters", summary.parameters - summary.lookup_parameters},
      {"projection_parameters", summary.parameters - summary.lookup_parameters - summary.head_parameters},
      {"streamed_weight_bytes", summary.weight_bytes - summary.lookup_bytes},
      {"threads", threads},
      {"test", test.name()},
      {"prompt", test.prompt},
      {"generate", test.generate},
      {"depth", test.depth},
      {"batch", test.batch},
      {"tokens_per_second", result.tokens_per_second},
      {"median", spread.median},
      {"minimum", spread.lowest},
      {"maximum", spread.highest}};
  if (test.generate > 0) {
    out["step_bytes"] = decode_step_bytes(summary, test);
    out["gigabytes_per_second"] = decode_gigabytes(summary, test, spread.median);
  }
  return out;
}

void print_header(const ModelSummary& summary, const std::string& weights, int threads, int repetitions) {
  std::printf("%s: %.1f M parameters, %s of weights (quantization %s), %s, compute %s, %d threads, median of %d\n\n",
              summary.name.c_str(), static_cast<double>(summary.parameters) * 1e-6,
              format_byte_size(summary.weight_bytes).c_str(), weights.c_str(), summary.platform.c_str(),
              std::string(dtype_name(summary.compute_dtype)).c_str(), threads, repetitions);
  std::printf("| test | batch | tokens/s | lowest | highest | GB/s |\n|---|--:|--:|--:|--:|--:|\n");
}

void print_row(const ModelSummary& summary, const EngineTestResult& result) {
  const Spread spread = spread_of(result.tokens_per_second);
  std::printf("| %s | %d | %.2f | %.2f | %.2f | ", result.test.name().c_str(), result.test.batch, spread.median,
              spread.lowest, spread.highest);
  if (result.test.generate > 0) std::printf("%.1f ", decode_gigabytes(summary, result.test, spread.median));
  std::printf("|\n");
}

std::vector<EngineTest> read_tests(const EngineBenchFlags& flags) {
  const auto list = [](const std::string& text, const char* flag, int minimum) {
    return value_or_throw(parse_test_list(text, flag, minimum));
  };
  const auto tests = make_engine_tests(list(flags.prompt, "--prompt", 0), list(flags.generate, "--generate", 0),
                                       list(flags.depth, "--depth", 0), list(flags.batch, "--batch", 1));
  if (tests.empty()) throw StartupError("there is nothing to measure: --prompt and --generate are both 0");
  if (flags.repetitions < 1 || flags.repetitions > 1000) {
    throw StartupError("--repetitions is " + std::to_string(flags.repetitions) + ". Valid: 1 to 1000");
  }
  return tests;
}

}  // namespace

int run_engine_bench(const CommandInput& given, const EngineBenchFlags& flags) {
  CommandInput input = given;
  if (flags.threads) {
    value_or_throw(input.values.set(*find_option("threads"), {std::to_string(*flags.threads)}, "-t"));
  }
  const std::vector<EngineTest> tests = read_tests(flags);
  LoadOptions options = make_load_options(input.values, resolve_model_or_throw(input));
  options.on_progress = make_progress();
  const auto model = ServingModel::load(options);
  const ModelSummary& summary = model->summary();
  for (const EngineTest& test : tests) value_or_throw(check_engine_test(test, model->engine().config()));
  const int threads = options.threads > 0 ? options.threads : usable_cores();
  const std::string weights = describe_weights(input.values, summary);
  const int repetitions = static_cast<int>(flags.repetitions);
  if (!flags.json) print_header(summary, weights, threads, repetitions);
  EngineBench bench(model->engine());
  for (const EngineTest& test : tests) {
    const EngineTestResult result = bench.measure(test, repetitions);
    flags.json ? static_cast<void>(std::printf("%s\n", result_json(summary, result, weights, threads).dump().c_str()))
               : print_row(summary, result);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace krait::server
