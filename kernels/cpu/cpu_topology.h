#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace krait::cpu {

/// A CPU of the system's counting: a core, or one of a core's hardware threads.
struct LogicalCpu {
  int cpu = 0;
  int core = 0;  ///< the same for the hardware threads of one core, different for all others
  int node = 0;  ///< the NUMA node whose memory is nearest
  friend bool operator==(const LogicalCpu&, const LogicalCpu&) = default;
};

struct CpuTopology {
  std::vector<LogicalCpu> cpus;  ///< those that the process may use, ascending
  int online = 0;                ///< CPUs of the machine
};

/// "0-3,8,10-11", as the kernel writes sets of CPUs; empty text is the empty set. nullopt for anything else.
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);

/// What `root`/cpu and `root`/node tell about the CPUs in `allowed` that are online. What is not told is assumed: every
/// CPU a core of its own, all memory in node 0.
CpuTopology read_cpu_topology(std::span<const int> allowed, const std::string& root = "/sys/devices/system");

}  // namespace krait::cpu
