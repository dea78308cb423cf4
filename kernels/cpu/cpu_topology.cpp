#include "kernels/cpu/cpu_topology.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <fstream>
#include <map>
#include <utility>

namespace krait::cpu {
namespace {

/// More CPUs than any kernel counts: a longer range is not a set of CPUs.
constexpr int kMostCpus = 1 << 20;

std::optional<int> parse_number(std::string_view text) {
  int number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size() || number < 0 || number >= kMostCpus) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::string> read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file) return std::nullopt;
  std::getline(file, line);
  return line;
}

std::optional<int> read_number(const std::string& path) {
  const std::optional<std::string> line = read_line(path);
  return line ? parse_number(*line) : std::nullopt;
}

std::optional<std::vector<int>> read_list(const std::string& path) {
  const std::optional<std::string> line = read_line(path);
  return line ? parse_cpu_list(*line) : std::nullopt;
}

/// CPU to node, of the nodes that are online.
std::map<int, int> read_nodes(const std::string& root) {
  std::map<int, int> nodes;
  for (const int node : read_list(root + "/node/online").value_or(std::vector<int>{})) {
    const auto cpus = read_list(root + "/node/node" + std::to_string(node) + "/cpulist");
    for (const int cpu : cpus.value_or(std::vector<int>{})) nodes[cpu] = node;
  }
  return nodes;
}

}  // namespace

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    const std::size_t dash = part.find('-');
    const std::optional<int> first = parse_number(part.substr(0, dash));
    const std::optional<int> last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    if (part.size() == text.size()) break;
    text.remove_prefix(part.size() + 1);
    if (text.empty()) return std::nullopt;
  }
  std::ranges::sort(cpus);
  const auto repeated = std::ranges::unique(cpus);
  cpus.erase(repeated.begin(), repeated.end());
  return cpus;
}

CpuTopology read_cpu_topology(std::span<const int> allowed, const std::string& root) {
  const std::optional<std::vector<int>> online = read_list(root + "/cpu/online");
  const std::map<int, int> nodes = read_nodes(root);
  CpuTopology topology{.cpus = {}, .online = static_cast<int>(online ? online->size() : allowed.size())};
  // A core's number is that of its first CPU here: core_id alone repeats in every package.
  std::map<std::pair<int, int>, int> cores;
  std::vector<int> usable(allowed.begin(), allowed.end());
  std::ranges::sort(usable);
  for (const int cpu : usable) {
    if (online && !std::ranges::binary_search(*online, cpu)) continue;
    const std::string folder = root + "/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::optional<int> core_id = read_number(folder + "core_id");
    const std::optional<int> package = read_number(folder + "physical_package_id");
    const int core = core_id ? cores.try_emplace({package.value_or(0), *core_id}, cpu).first->second : cpu;
    const auto node = nodes.find(cpu);
    topology.cpus.push_back({.cpu = cpu, .core = core, .node = node == nodes.end() ? 0 : node->second});
  }
  return topology;
}

}  // namespace krait::cpu
