#include "kernels/cpu/worker_places.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "kernels/result.h"

namespace krait::cpu {
namespace {

[[noreturn]] void refuse(const std::string& flag, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = "--" + flag + " " + message, .field = flag});
}

std::string join(const std::set<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

std::set<int> nodes_of(const std::vector<LogicalCpu>& cpus) {
  std::set<int> nodes;
  for (const LogicalCpu& cpu : cpus) nodes.insert(cpu.node);
  return nodes;
}

/// A node's CPUs, best first: every core's first one, then every core's second.
struct NodeCpus {
  struct Ranked {
    int rank;  ///< hardware threads of its core before it
    LogicalCpu place;
  };
  std::vector<Ranked> cpus;
  std::size_t taken = 0;
};

std::map<int, NodeCpus> rank_by_node(const std::vector<LogicalCpu>& cpus) {
  std::map<int, int> seen;  // hardware threads by core
  std::map<int, NodeCpus> nodes;
  for (const LogicalCpu& cpu : cpus) nodes[cpu.node].cpus.push_back({seen[cpu.core]++, cpu});
  for (auto& [number, node] : nodes) std::ranges::stable_sort(node.cpus, {}, &NodeCpus::Ranked::rank);
  return nodes;
}

/// Takes `count` CPUs, each time of the node that has the best one left, and of those the one with the fewest taken.
void take(std::map<int, NodeCpus>& nodes, int count) {
  for (int i = 0; i < count; ++i) {
    NodeCpus* best = nullptr;
    for (auto& [number, node] : nodes) {
      if (node.taken == node.cpus.size()) continue;
      const auto key = [](const NodeCpus& of) { return std::pair(of.cpus[of.taken].rank, of.taken); };
      if (best == nullptr || key(node) < key(*best)) best = &node;
    }
    ++best->taken;
  }
}

/// Cores that no worker has, or else CPUs.
std::vector<int> left_over(const std::vector<LogicalCpu>& cpus, const std::set<int>& taken) {
  std::set<int> busy;
  for (const LogicalCpu& cpu : cpus) {
    if (taken.contains(cpu.cpu)) busy.insert(cpu.core);
  }
  std::vector<int> cores;
  std::vector<int> others;
  for (const LogicalCpu& cpu : cpus) {
    if (!busy.contains(cpu.core)) cores.push_back(cpu.cpu);
    if (!taken.contains(cpu.cpu)) others.push_back(cpu.cpu);
  }
  return cores.empty() ? others : cores;
}

std::vector<LogicalCpu> candidates_of(const CpuTopology& topology, const NumaPolicy& numa) {
  if (numa.kind != NumaPolicy::Kind::kNode) return topology.cpus;
  std::vector<LogicalCpu> cpus;
  std::ranges::copy_if(topology.cpus, std::back_inserter(cpus),
                       [&](const LogicalCpu& cpu) { return cpu.node == numa.node; });
  if (cpus.empty()) {
    refuse("numa", "node:" + std::to_string(numa.node) + " names a node of which this process may use no CPU. It has " +
                       "CPUs of: " + join(nodes_of(topology.cpus)));
  }
  return cpus;
}

bool wants_nodes(const NumaPolicy& numa, Pinning pinning, const std::vector<LogicalCpu>& cpus) {
  using Kind = NumaPolicy::Kind;
  if (numa.kind == Kind::kOff) return false;
  if (pinning != Pinning::kOff) return numa.kind == Kind::kNode || nodes_of(cpus).size() > 1;
  if (numa.kind == Kind::kAuto) return false;
  refuse("numa", std::string(numa.kind == Kind::kNode ? "node:N" : "distribute") +
                     " places the threads, which --cpu-pinning off forbids; give --cpu-pinning auto or on");
}

bool wants_pinning(const CpuTopology& topology, const PlacementRequest& request, int threads, int cpus) {
  if (request.pinning == Pinning::kOff) return false;
  if (request.pinning == Pinning::kOn) {
    if (threads <= cpus) return true;
    refuse("cpu-pinning", "on: " + std::to_string(threads) + " threads (--threads) do not fit " + std::to_string(cpus) +
                              " CPUs; give at most that many threads, or --cpu-pinning off");
  }
  // With a quota below the mask the process may be stopped on any CPU and is best moved to another.
  if (threads > cpus || request.quota.value_or(cpus) < cpus) return false;
  // Somebody has given the process CPUs of its own. On the whole machine there may be other programs, and a second
  // process would take the same CPUs.
  return static_cast<int>(topology.cpus.size()) < topology.online;
}

}  // namespace

NumaPolicy parse_numa_policy(std::string_view text) {
  using Kind = NumaPolicy::Kind;
  if (text == "auto") return {.kind = Kind::kAuto};
  if (text == "off") return {.kind = Kind::kOff};
  if (text == "distribute") return {.kind = Kind::kDistribute};
  constexpr std::string_view kNode = "node:";
  if (text.starts_with(kNode)) {
    const std::string_view number = text.substr(kNode.size());
    NumaPolicy policy{.kind = Kind::kNode};
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), policy.node);
    if (error == std::errc{} && rest == number.data() + number.size() && policy.node >= 0) return policy;
  }
  refuse("numa", "is '" + std::string(text) + "'. Valid: auto, off, distribute, node:N (a number from 0)");
}

Pinning parse_pinning(std::string_view text) {
  if (text == "auto") return Pinning::kAuto;
  if (text == "off") return Pinning::kOff;
  if (text == "on") return Pinning::kOn;
  refuse("cpu-pinning", "is '" + std::string(text) + "'. Valid: auto, off, on");
}

Placement plan_placement(const CpuTopology& topology, const PlacementRequest& request) {
  const std::vector<LogicalCpu> cpus = candidates_of(topology, request.numa);
  const int count = std::max(static_cast<int>(cpus.size()), 1);
  Placement placement;
  placement.threads = request.threads > 0 ? request.threads : std::min(count, request.quota.value_or(count));
  const bool by_node = wants_nodes(request.numa, request.pinning, cpus);
  placement.pinned = wants_pinning(topology, request, placement.threads, static_cast<int>(cpus.size()));
  if (!placement.pinned && !by_node) return placement;
  if (placement.threads > static_cast<int>(cpus.size())) {
    if (request.numa.kind == NumaPolicy::Kind::kAuto) return placement;
    refuse("numa", "has " + std::to_string(cpus.size()) + " CPUs for " + std::to_string(placement.threads) +
                       " threads (--threads); give at most that many, or --numa off");
  }

  std::map<int, NodeCpus> nodes = rank_by_node(cpus);
  take(nodes, placement.threads);
  std::set<int> taken;
  for (const auto& [number, node] : nodes) {
    if (by_node && node.taken > 0) placement.memory_nodes.push_back(number);
    std::vector<int> all;
    for (const auto& ranked : node.cpus) all.push_back(ranked.place.cpu);
    std::ranges::sort(all);
    for (std::size_t i = 0; i < node.taken; ++i) {
      const int cpu = node.cpus[i].place.cpu;
      taken.insert(cpu);
      placement.places.push_back(
          {.cpus = placement.pinned ? std::vector<int>{cpu} : all, .node = by_node ? number : -1});
    }
  }
  if (placement.pinned) placement.other_cpus = left_over(topology.cpus, taken);
  return placement;
}

}  // namespace krait::cpu
