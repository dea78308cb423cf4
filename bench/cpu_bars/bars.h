#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/cache_bars/bar.h"
#include "bench/cpu_bars/comparison.h"

namespace krait::bench {

/// One thing that must hold of the CPU platform's speed or drift (docs/performance.md).
struct CpuBar {
  std::string name;
  std::vector<ComparisonNeed> needs{};
  std::function<BarResult(Comparisons&)> measure;
};

/// All of them, in the order in which they are measured.
std::vector<CpuBar> cpu_bars();

// The parts of that list.
void add_decode_bars(std::vector<CpuBar>& bars);
void add_prefill_bars(std::vector<CpuBar>& bars);
void add_parallel_bars(std::vector<CpuBar>& bars);
void add_server_bars(std::vector<CpuBar>& bars);
void add_avx2_bars(std::vector<CpuBar>& bars);
void add_drift_bars(std::vector<CpuBar>& bars);

/// The least of the medians of our speed over that of each of llama.cpp's types: the better one counts.
double ratio_of(const std::vector<nlohmann::json>& rows);
/// Memory that a decode moves over the read bandwidth of the same round, median.
double bandwidth_share(const nlohmann::json& row);

}  // namespace krait::bench
