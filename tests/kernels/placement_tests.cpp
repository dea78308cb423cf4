#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/cpu_topology.h"
#include "kernels/cpu/numa_memory.h"
#include "kernels/cpu/worker_places.h"
#include "kernels/result.h"
#include "kernels/thread_scheduling.h"
#include "tests/temp_folder.h"

namespace krait {
namespace {

using cpu::CpuTopology;
using cpu::LogicalCpu;
using cpu::NumaPolicy;
using cpu::Pinning;
using cpu::Placement;

/// A tree as the kernel's /sys/devices/system.
class FakeSystem {
 public:
  void write(const std::string& path, const std::string& line) const {
    const std::filesystem::path file = folder_.file(path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << line << '\n';
  }
  void add_cpu(int cpu, int package, int core) const {
    const std::string folder = "cpu/cpu" + std::to_string(cpu) + "/topology/";
    write(folder + "core_id", std::to_string(core));
    write(folder + "physical_package_id", std::to_string(package));
  }
  void add_node(int node, const std::string& cpus) const {
    write("node/node" + std::to_string(node) + "/cpulist", cpus);
  }
  [[nodiscard]] CpuTopology read(const std::vector<int>& allowed) const {
    return cpu::read_cpu_topology(allowed, folder_.path());
  }

 private:
  test::TempFolder folder_;
};

std::vector<int> first(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// Two sockets of two cores of two hardware threads, numbered as most servers do: first all cores, then all siblings.
CpuTopology two_sockets() {
  CpuTopology topology{.cpus = {}, .online = 8};
  for (int cpu = 0; cpu < 8; ++cpu) topology.cpus.push_back({.cpu = cpu, .core = cpu % 4, .node = cpu % 4 / 2});
  return topology;
}

CpuTopology one_node(int cpus, int online) {
  CpuTopology topology{.cpus = {}, .online = online};
  for (int cpu = 0; cpu < cpus; ++cpu) topology.cpus.push_back({.cpu = cpu, .core = cpu, .node = 0});
  return topology;
}

/// Worker to CPU; empty where workers are not bound to one.
std::vector<int> cpus_of(const Placement& placement) {
  std::vector<int> cpus;
  for (const WorkerPlace& place : placement.places) {
    if (place.cpus.size() == 1) cpus.push_back(place.cpus.front());
  }
  return cpus;
}

std::vector<int> nodes_of(const Placement& placement) {
  std::vector<int> nodes;
  for (const WorkerPlace& place : placement.places) nodes.push_back(place.node);
  return nodes;
}

constexpr NumaPolicy kNoNuma{.kind = NumaPolicy::Kind::kOff};
constexpr NumaPolicy kAutoNuma{.kind = NumaPolicy::Kind::kAuto};
constexpr NumaPolicy kDistribute{.kind = NumaPolicy::Kind::kDistribute};

}  // namespace

TEST_CASE("Sets of CPUs are read as the kernel writes them") {
  CHECK(cpu::parse_cpu_list("0-3,8,10-11") == std::vector<int>{0, 1, 2, 3, 8, 10, 11});
  CHECK(cpu::parse_cpu_list("5") == std::vector<int>{5});
  CHECK(cpu::parse_cpu_list("4,2-3,3") == std::vector<int>{2, 3, 4});
  CHECK(cpu::parse_cpu_list("") == std::vector<int>{});
  for (const char* bad : {"a", "1-", "-1", "3-1", "1,,2", "1,", " 1", "1 ", "99999999999", "0-4000000000"}) {
    CAPTURE(bad);
    CHECK_FALSE(cpu::parse_cpu_list(bad));
  }
}

TEST_CASE("A machine of two sockets is read from sysfs, whose core numbers repeat in every socket") {
  const FakeSystem system;
  system.write("cpu/online", "0-7");
  for (int cpu = 0; cpu < 8; ++cpu) system.add_cpu(cpu, cpu % 4 / 2, cpu % 2);
  system.write("node/online", "0-1");
  system.add_node(0, "0-1,4-5");
  system.add_node(1, "2-3,6-7");
  const CpuTopology topology = system.read(first(8));
  CHECK(topology.online == 8);
  CHECK(topology.cpus == two_sockets().cpus);
}

TEST_CASE("CPUs that are offline or not in the mask are none; a node may be anywhere") {
  const FakeSystem system;
  system.write("cpu/online", "0,2-3,5");
  for (const int cpu : {0, 2, 3, 5}) system.add_cpu(cpu, 0, cpu / 2);
  system.write("node/online", "0,4");
  system.add_node(0, "0-1");
  system.add_node(4, "2-5");
  const CpuTopology topology = system.read({1, 2, 3, 4, 5});
  CHECK(topology.online == 4);
  CHECK(topology.cpus == std::vector<LogicalCpu>{{2, 2, 4}, {3, 2, 4}, {5, 5, 4}});
}

TEST_CASE("Without sysfs, or with one that makes no sense, every CPU is a core and there is one node") {
  const FakeSystem system;
  const std::vector<LogicalCpu> plain{{1, 1, 0}, {7, 7, 0}};
  CHECK(system.read({7, 1}).cpus == plain);
  CHECK(system.read({7, 1}).online == 2);
  system.write("cpu/online", "what?");
  system.write("cpu/cpu1/topology/core_id", "-1");
  system.write("node/online", "0-");
  CHECK(system.read({7, 1}).cpus == plain);
  CHECK(system.read({}).cpus.empty());
}

TEST_CASE("The machine that runs this can be read") {
  const std::vector<int> mine = thread_cpus();
  const CpuTopology topology = cpu::read_cpu_topology(mine);
  CHECK(topology.cpus.size() == mine.size());
  CHECK(topology.online >= static_cast<int>(mine.size()));
}

TEST_CASE("Workers take the cores of both nodes in turn and hardware threads last, neighbours on one node") {
  const auto plan = [](int threads) {
    return cpu::plan_placement(two_sockets(), {.threads = threads, .numa = kAutoNuma, .pinning = Pinning::kOn});
  };
  CHECK(cpus_of(plan(1)) == std::vector<int>{0});
  CHECK(plan(1).memory_nodes == std::vector<int>{0});
  CHECK(cpus_of(plan(2)) == std::vector<int>{0, 2});
  CHECK(nodes_of(plan(2)) == std::vector<int>{0, 1});
  CHECK(plan(2).memory_nodes == std::vector<int>{0, 1});
  CHECK(cpus_of(plan(4)) == std::vector<int>{0, 1, 2, 3});
  CHECK(nodes_of(plan(4)) == std::vector<int>{0, 0, 1, 1});
  CHECK(cpus_of(plan(5)) == std::vector<int>{0, 1, 4, 2, 3});
  CHECK(cpus_of(plan(0)) == std::vector<int>{0, 1, 4, 5, 2, 3, 6, 7});
  CHECK(plan(0).threads == 8);
}

TEST_CASE("Other threads get the cores that no worker has, else the hardware threads, else they stay") {
  const auto others = [](int threads) {
    return cpu::plan_placement(two_sockets(), {.threads = threads, .pinning = Pinning::kOn}).other_cpus;
  };
  CHECK(others(1) == std::vector<int>{1, 2, 3, 5, 6, 7});
  CHECK(others(3) == std::vector<int>{3, 7});
  CHECK(others(4) == std::vector<int>{4, 5, 6, 7});
  CHECK(others(7) == std::vector<int>{7});
  CHECK(others(8).empty());
}

TEST_CASE("By itself it pins only on CPUs that were given to it") {
  const auto plan = [](const CpuTopology& topology, int threads, std::optional<int> quota) {
    return cpu::plan_placement(topology,
                               {.threads = threads, .quota = quota, .numa = kNoNuma, .pinning = Pinning::kAuto});
  };
  // What somebody has set apart for it.
  CHECK(cpus_of(plan(one_node(4, 16), 0, std::nullopt)) == std::vector<int>{0, 1, 2, 3});
  CHECK(plan(one_node(4, 16), 3, std::nullopt).pinned);
  CHECK(plan(one_node(4, 16), 3, std::nullopt).other_cpus == std::vector<int>{3});
  CHECK(plan(one_node(4, 16), 4, 4).pinned);
  // A second process would take the same.
  CHECK_FALSE(plan(one_node(4, 4), 3, std::nullopt).pinned);
  CHECK_FALSE(plan(one_node(4, 4), 0, std::nullopt).pinned);
  // More threads than CPUs; a quota that moves over the mask.
  CHECK_FALSE(plan(one_node(4, 16), 5, std::nullopt).pinned);
  const Placement quota = plan(one_node(4, 16), 0, 2);
  CHECK(quota.threads == 2);
  CHECK_FALSE(quota.pinned);
  CHECK(quota.places.empty());
  CHECK(quota.other_cpus.empty());
}

TEST_CASE("Without pinning workers are bound to their node as a whole, where there are several") {
  const auto plan = [](int threads, NumaPolicy numa) {
    return cpu::plan_placement(two_sockets(), {.threads = threads, .numa = numa, .pinning = Pinning::kAuto});
  };
  const Placement placement = plan(2, kAutoNuma);
  CHECK_FALSE(placement.pinned);
  REQUIRE(placement.places.size() == 2);
  CHECK(placement.places[0].cpus == std::vector<int>{0, 1, 4, 5});
  CHECK(placement.places[1].cpus == std::vector<int>{2, 3, 6, 7});
  CHECK(placement.other_cpus.empty());
  CHECK(plan(2, kNoNuma).places.empty());
  CHECK(plan(9, kAutoNuma).places.empty());
  CHECK(plan(9, kAutoNuma).threads == 9);
  CHECK(
      cpu::plan_placement(one_node(4, 4), {.threads = 2, .numa = kAutoNuma, .pinning = Pinning::kAuto}).places.empty());
  CHECK(cpu::plan_placement(two_sockets(), {.threads = 2, .numa = kAutoNuma, .pinning = Pinning::kOff}).places.empty());
}

TEST_CASE("A named node has all workers and all memory") {
  const NumaPolicy node{.kind = NumaPolicy::Kind::kNode, .node = 1};
  const Placement placement = cpu::plan_placement(two_sockets(), {.numa = node, .pinning = Pinning::kOn});
  CHECK(placement.threads == 4);
  CHECK(cpus_of(placement) == std::vector<int>{2, 3, 6, 7});
  CHECK(nodes_of(placement) == std::vector<int>{1, 1, 1, 1});
  CHECK(placement.memory_nodes == std::vector<int>{1});
  CHECK(placement.other_cpus == std::vector<int>{0, 1, 4, 5});
}

TEST_CASE("What the machine does not have is refused with the flag's name") {
  const auto plan = [](int threads, NumaPolicy numa, Pinning pinning) {
    return cpu::plan_placement(two_sockets(), {.threads = threads, .numa = numa, .pinning = pinning});
  };
  const NumaPolicy absent{.kind = NumaPolicy::Kind::kNode, .node = 7};
  const NumaPolicy second{.kind = NumaPolicy::Kind::kNode, .node = 1};
  CHECK_THROWS_WITH(plan(0, absent, Pinning::kAuto), Catch::Contains("--numa node:7") && Catch::Contains("0, 1"));
  CHECK_THROWS_WITH(plan(9, kNoNuma, Pinning::kOn), Catch::Contains("--cpu-pinning") && Catch::Contains("8 CPUs"));
  CHECK_THROWS_WITH(plan(5, second, Pinning::kAuto), Catch::Contains("--numa") && Catch::Contains("4 CPUs"));
  CHECK_THROWS_WITH(plan(9, kDistribute, Pinning::kAuto), Catch::Contains("--numa") && Catch::Contains("9 threads"));
  CHECK_THROWS_WITH(plan(4, kDistribute, Pinning::kOff), Catch::Contains("--cpu-pinning off"));
  for (const char* bad : {"", "on", "node", "node:", "node:x", "node:-1", "node:1x", "numactl"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH(cpu::parse_numa_policy(bad), Catch::Contains("auto, off, distribute, node:N"));
  }
  CHECK(cpu::parse_numa_policy("node:12").node == 12);
  CHECK_THROWS_AS(cpu::parse_pinning("yes"), StartupError);
}

TEST_CASE("Each worker's part of what a loop streams belongs to its node") {
  const auto places = [](const std::vector<int>& nodes) {
    std::vector<WorkerPlace> out;
    for (const int node : nodes) out.push_back({.cpus = {}, .node = node});
    return out;
  };
  using Parts = std::vector<cpu::NodePart>;
  CHECK(cpu::parts_by_node(800, places({0, 0, 1, 1}), 100) == Parts{{0, 400, 0}, {400, 800, 1}});
  CHECK(cpu::parts_by_node(850, places({0, 2, 2}), 100) == Parts{{0, 200, 0}, {200, 850, 2}});
  CHECK(cpu::parts_by_node(50, places({0, 1}), 100) == Parts{{0, 50, 1}});
  CHECK(cpu::parts_by_node(800, places({-1, -1}), 100).empty());
  CHECK(cpu::parts_by_node(800, {}, 100).empty());
}

TEST_CASE("A thread runs on the CPUs that it is set to, and so do those it starts") {
  const std::vector<int> before = thread_cpus();
  REQUIRE_FALSE(before.empty());
  const std::vector<int> one{before.back()};
  std::vector<int> own;
  std::vector<int> started;
  bool refused = true;
  std::thread([&] {
    set_thread_cpus(one);
    own = thread_cpus();
    std::thread([&] { started = thread_cpus(); }).join();
    refused = !set_thread_cpus(std::vector<int>{(1 << 16) - 1});
  }).join();
  CHECK(own == one);
  CHECK(started == one);
  CHECK(refused);
  CHECK(thread_cpus() == before);
}

TEST_CASE("A pool's workers are bound to their places, and its caller where it asks for it") {
  const int cpu = thread_cpus().back();
  ThreadPool pool(2, {{.cpus = {cpu}, .node = 0}, {.cpus = {cpu}, .node = 0}});
  std::vector<std::vector<int>> cpus(2);
  // Both take part: each waits for the other.
  std::atomic<int> arrived{0};
  pool.parallel_for(2, [&](std::int64_t, std::int64_t, int worker) {
    ++arrived;
    while (arrived.load() < 2) std::this_thread::yield();
    cpus[static_cast<std::size_t>(worker)] = thread_cpus();
  });
  CHECK(cpus[1] == std::vector<int>{cpu});
  CHECK(cpus[0] == thread_cpus());
}

}  // namespace krait
