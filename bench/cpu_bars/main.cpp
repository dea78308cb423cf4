#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cpu_bars/bars.h"

using namespace krait::bench;

namespace {

int refuse(std::string_view name, const std::vector<CpuBar>& bars) {
  std::fprintf(stderr, "cpu_bars: there is no bar '%s'. Valid:", std::string(name).c_str());
  for (const CpuBar& bar : bars) std::fprintf(stderr, " %s", bar.name.c_str());
  std::fprintf(stderr, "\n");
  return 2;
}

/// A bar that could not be measured does not hold.
BarResult measure(const CpuBar& bar, Comparisons& comparisons) {
  try {
    return bar.measure(comparisons);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", bar.name.c_str(), error.what());
  }
  return {};
}

/// The bar of this name; else those whose names begin with it.
bool is_meant(const CpuBar& bar, std::string_view name, const std::vector<CpuBar>& all) {
  const bool is_name = std::ranges::any_of(all, [&](const CpuBar& each) { return each.name == name; });
  return is_name ? bar.name == name : bar.name.starts_with(name);
}

/// All for no names.
std::vector<CpuBar> choose(const std::vector<CpuBar>& all, const std::vector<std::string_view>& names) {
  std::vector<CpuBar> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), [&](const CpuBar& bar) {
    return names.empty() || std::ranges::any_of(names, [&](std::string_view name) { return is_meant(bar, name, all); });
  });
  return chosen;
}

}  // namespace

/// cpu_bars [NAME...]: measures the named bars (the beginning of names names several), or all, and prints one line
/// of JSON each. 0: all hold; 1: one does not; 2: an unknown name.
int main(int argc, char** argv) {
  const std::vector<std::string_view> names(argv + 1, argv + argc);
  const std::vector<CpuBar> all = cpu_bars();
  for (const std::string_view name : names) {
    if (choose(all, {name}).empty()) return refuse(name, all);
  }
  const std::vector<CpuBar> bars = choose(all, names);
  Comparisons comparisons;
  for (const CpuBar& bar : bars) {
    for (const ComparisonNeed& need : bar.needs) comparisons.add(need);
  }
  bool all_hold = true;
  for (const CpuBar& bar : bars) {
    const BarResult result = measure(bar, comparisons);
    std::printf("{\"name\": \"%s\", \"value\": %.6g, \"bar\": %.6g, \"pass\": %s}\n", bar.name.c_str(), result.value,
                result.bar, result.pass ? "true" : "false");
    std::fflush(stdout);
    all_hold = all_hold && result.pass;
  }
  return all_hold ? 0 : 1;
}
