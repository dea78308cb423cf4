#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cpu/cpu_topology.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {

/// `--numa`: where workers and memory lie on a machine with several memory nodes.
struct NumaPolicy {
  enum class Kind {
    kAuto,        ///< kDistribute where the CPUs belong to several nodes, else kOff
    kOff,         ///< the system decides
    kDistribute,  ///< over all nodes of the CPUs
    kNode,        ///< on one
  };
  Kind kind = Kind::kOff;
  int node = 0;  ///< with kNode
};

/// auto, off, distribute or node:N. Throws StartupError.
NumaPolicy parse_numa_policy(std::string_view text);

/// `--cpu-pinning`: whether each worker has a CPU of its own.
enum class Pinning {
  kAuto,  ///< where the process was given CPUs of its own: fewer than the machine has
  kOff,
  kOn,
};

/// auto, off or on. Throws StartupError.
Pinning parse_pinning(std::string_view text);

struct PlacementRequest {
  int threads = 0;             ///< 0: one a CPU, within the quota
  std::optional<int> quota{};  ///< a container's, in CPUs; it may use that much of all that are in its mask
  NumaPolicy numa{};
  Pinning pinning = Pinning::kOff;
};

struct Placement {
  int threads = 1;
  bool pinned = false;              ///< each worker to a CPU
  std::vector<WorkerPlace> places;  ///< one a worker; empty: all of them anywhere
  std::vector<int> other_cpus;      ///< with pinned workers, where all other threads belong; empty: anywhere
  std::vector<int> memory_nodes;    ///< ascending; empty: the system decides where memory lies
};

/// Which worker runs where. Workers take the cores in turn, and a core's second hardware thread only when all cores are
/// taken; those of one node are neighbours, as the parts of a loop are. A pure function. Throws StartupError, with the
/// flag's name, for what the machine does not have.
Placement plan_placement(const CpuTopology& topology, const PlacementRequest& request);

}  // namespace krait::cpu
