#include "bench/cpu_bars/bars.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "bench/shapes/published_shapes.h"
#include "bench/shapes/random_checkpoint.h"

namespace krait::bench {
namespace {

using nlohmann::json;

constexpr int kGenerated = 64;

struct ShapeBars {
  const char* shape;
  double decode_quantized;  ///< ratio to llama.cpp at 8 and at 4 bits
  double long_prefill;      ///< speed at 8,192 tokens over that at 512
};

constexpr ShapeBars kShapes[] = {{"granite-4.0-h-350m", 1.4, 0.8}, {"granite-4.0-h-1b", 1.4, 0.8},
                                 {"mamba2-370m", 1.3, 0.8},        {"falcon-h1-0.5b", 1.3, 0.6},
                                 {"lfm2-350m", 1.3, 0.7},          {"qwen3.5-0.8b", 1.3, 0.7}};
constexpr const char* kParallelShapes[] = {"granite-4.0-h-350m", "lfm2-350m"};
constexpr const char* kGranite = "granite-4.0-h-350m";
constexpr int kBits[] = {16, 8, 4};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.at((values.size() - 1) / 2);
}

std::string bits_name(int bits) { return bits == 16 ? "bf16" : std::to_string(bits) + "bit"; }

/// g++ 12 sees uninitialised strings in the nested braces that would say the same.
ComparisonNeed need_of(const std::string& shape, int bits, std::vector<int> prompts = {},
                       std::vector<int> batches = {}) {
  ComparisonNeed need;
  need.key.shape = shape;
  need.key.bits = bits;
  need.prompts = std::move(prompts);
  need.batches = std::move(batches);
  return need;
}

void add(std::vector<CpuBar>& bars, std::string name, const ComparisonNeed& need,
         std::function<BarResult(Comparisons&)> measure) {
  CpuBar& bar = bars.emplace_back();
  bar.name = std::move(name);
  if (!need.key.shape.empty()) bar.needs.push_back(need);
  bar.measure = std::move(measure);
}

std::string decode_test() { return "tg" + std::to_string(kGenerated); }

/// `bar`, or what this machine allows where that is less: the ratio at which `limit` of the peak would be reached.
BarResult at_least_or_limit(double ratio, double bar, double share, double limit) {
  return at_least(ratio, std::min(bar, ratio * limit / std::max(share, 1e-9)));
}

/// 2 operations a projection weight and token, over the peak of the rows' type in the same round, median.
double gemm_share(const json& row) {
  const std::string type = row.at("krait_type");
  const char* peak = type.find("int8 rows") != std::string::npos       ? "int8_gops"
                     : type.find("bfloat16 rows") != std::string::npos ? "bfloat16_gflops"
                                                                       : "float32_gflops";
  std::vector<double> shares;
  for (std::size_t round = 0; round < row.at("krait").size(); ++round) {
    const double operations = 2e-9 * row.at("krait_projection_parameters").get<double>();
    shares.push_back(row["krait"][round].get<double>() * operations / row["peaks"][round].at(peak).get<double>());
  }
  return median(shares);
}

}  // namespace

double ratio_of(const std::vector<json>& rows) {
  double least = std::numeric_limits<double>::infinity();
  for (const json& row : rows) least = std::min(least, row.at("ratio_median").get<double>());
  return least;
}

double bandwidth_share(const json& row) {
  std::vector<double> shares;
  for (std::size_t round = 0; round < row.at("krait_gbs").size(); ++round) {
    shares.push_back(row["krait_gbs"][round].get<double>() / row["peaks"][round].at("read_gbs").get<double>());
  }
  return median(shares);
}

void add_decode_bars(std::vector<CpuBar>& bars) {
  for (const ShapeBars& shape : kShapes) {
    for (const int bits : kBits) {
      const ComparisonNeed need = need_of(shape.shape, bits);
      const std::string name = "decode_" + bits_name(bits) + "_" + shape.shape;
      const double bar = bits == 16 ? 1.0 : shape.decode_quantized;
      add(bars, name, need, [need, bits, bar](Comparisons& runs) {
        const auto rows = runs.rows(need.key, decode_test(), 1);
        if (bits == 16) return at_least(ratio_of(rows), bar);
        return at_least_or_limit(ratio_of(rows), bar, bandwidth_share(rows.front()), 0.9);
      });
      if (bits != 16) continue;
      add(bars, name + "_bandwidth", need, [need](Comparisons& runs) {
        return at_least(bandwidth_share(runs.rows(need.key, decode_test(), 1).front()), 0.9);
      });
    }
  }
}

void add_prefill_bars(std::vector<CpuBar>& bars) {
  for (const ShapeBars& shape : kShapes) {
    for (const int bits : kBits) {
      for (const int tokens : {512, 2048}) {
        const ComparisonNeed need = need_of(shape.shape, bits, {tokens});
        const std::string test = "pp" + std::to_string(tokens);
        const double bar = bits == 16 ? 1.5 : bits == 8 ? 2.5 : 1.8;
        add(bars, "prefill" + std::to_string(tokens) + "_" + bits_name(bits) + "_" + shape.shape, need,
            [need, test, bits, bar](Comparisons& runs) {
              const auto rows = runs.rows(need.key, test, 1);
              if (bits != 16) return at_least(ratio_of(rows), bar);
              return at_least_or_limit(ratio_of(rows), bar, gemm_share(rows.front()), 0.8);
            });
      }
    }
    // No word about llama.cpp: our own speed at two lengths.
    const std::string name = shape.shape;
    const double bar = shape.long_prefill;
    add(bars, "prefill8192_" + name, {}, [name, bar](Comparisons&) {
      const RandomCheckpoint checkpoint(published_shape(name));
      const std::string text = output_of(std::string("'") + KRAIT_BUILD_DIR + "/krait' bench engine '" +
                                         checkpoint.folder() + "' -t 2 -n 0 -p 512,8192 -r 5 --json");
      const std::size_t end = text.find('\n');
      const double at_512 = json::parse(text.substr(0, end)).at("median");
      const double at_8192 = json::parse(text.substr(end)).at("median");
      return at_least(at_8192 / at_512, bar);
    });
  }
}

void add_parallel_bars(std::vector<CpuBar>& bars) {
  for (const std::string shape : kParallelShapes) {
    for (const int bits : kBits) {
      for (const int sequences : {8, 16}) {
        const ComparisonNeed need = need_of(shape, bits, {}, {sequences});
        const double bar = bits == 16 ? 1.8 : 2.2;
        add(bars, "parallel" + std::to_string(sequences) + "_" + bits_name(bits) + "_" + shape, need,
            [need, sequences, bar](Comparisons& runs) {
              return at_least(ratio_of(runs.rows(need.key, decode_test() + " @ d128", sequences)), bar);
            });
      }
    }
  }
}

void add_server_bars(std::vector<CpuBar>& bars) {
  struct Figure {
    const char* name;
    const char* key;
    double bar_16;
    double bar_8;
  };
  // Ratios above 1 are ours being the better, for times too.
  constexpr Figure kFigures[] = {{"throughput", "tokens_per_second_ratio", 1.8, 3.0},
                                 {"ttft", "ttft_p50_ratio", 2.0, 2.0},
                                 {"itl_p99", "itl_p99_ratio", 1.0, 1.0}};
  for (const int bits : {16, 8}) {
    for (const Figure& figure : kFigures) {
      ComparisonNeed need = need_of(kGranite, bits);
      need.key.serve = true;
      const double bar = bits == 16 ? figure.bar_16 : figure.bar_8;
      add(bars, std::string("server_") + figure.name + "_" + bits_name(bits), need,
          [need, key = figure.key, bar](Comparisons& runs) {
            return at_least(runs.rows(need.key, "serve16", 1).front().at(key).get<double>(), bar);
          });
    }
  }
}

void add_avx2_bars(std::vector<CpuBar>& bars) {
  for (const int bits : kBits) {
    ComparisonNeed need = need_of(kGranite, bits, {512});
    need.key.avx2 = true;
    for (const bool prefill : {false, true}) {
      add(bars, (prefill ? "avx2_prefill512_" : "avx2_decode_") + bits_name(bits), need,
          [need, prefill](Comparisons& runs) {
            return at_least(ratio_of(runs.rows(need.key, prefill ? "pp512" : decode_test(), 1)), 1.0);
          });
    }
  }
}

void add_drift_bars(std::vector<CpuBar>& bars) {
  const auto add_drift = [&](const char* name, const char* flags, double bar) {
    add(bars, name, {}, [flags, bar](Comparisons&) {
      const std::string demo = std::string(KRAIT_SOURCE_DIR) + "/demo/aesop";
      const json found = json::parse(output_of(std::string("'") + KRAIT_BUILD_DIR + "/krait' perplexity '" + demo +
                                               "' --file '" + demo + "/goldens/eval.txt' --reference --json " + flags));
      std::fprintf(stderr, "%s: perplexity %+.4f %%, mean KL divergence %.3g\n", flags,
                   found.at("perplexity_change_percent").get<double>(), found.at("mean_kl_divergence").get<double>());
      return at_most(std::abs(found.at("perplexity_change_percent").get<double>()), bar);
    });
  };
  add_drift("drift_bfloat16", "--compute-dtype bfloat16", 0.2);
  add_drift("drift_int8", "--quantization int8 --compute-dtype float32", 0.5);
}

std::vector<CpuBar> cpu_bars() {
  std::vector<CpuBar> bars;
  add_drift_bars(bars);
  add_decode_bars(bars);
  add_prefill_bars(bars);
  add_parallel_bars(bars);
  add_server_bars(bars);
  add_avx2_bars(bars);
  return bars;
}

}  // namespace krait::bench
