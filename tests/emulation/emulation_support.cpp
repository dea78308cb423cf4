#include "tests/emulation/emulation_support.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace krait::test {
namespace {

constexpr bool kSlowBuild = KRAIT_SANITIZED != 0;

}  // namespace

void in_every_order(const std::function<void()>& fn) {
  using cuda::emulation::Order;
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    if (kSlowBuild && order != Order::kRandom) continue;
    cuda::emulation::set_order(order, 7);
    fn();
  }
  cuda::emulation::set_order(Order::kForward);
}

void check_agreement(const std::string& scenario, double tolerance, int seeds) {
  const auto& all = scenarios();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Scenario& one) { return one.name == scenario; });
  REQUIRE(found != all.end());
  Machine cpu("portable", 1);
  const Bench cpu_bench{cpu.ops(), [&](const WeightSource& source, const PackScheme& scheme) {
                          return cpu.platform.pack(source, scheme, {});
                        }};
  const auto gpu = make_emulated_platform();
  const auto queue = gpu->create_queue();
  const Bench gpu_bench{queue->ops(), [&](const WeightSource& source, const PackScheme& scheme) {
                          return gpu->pack(source, scheme, {});
                        }};
  for (int seed = 1; seed <= (kSlowBuild ? 1 : seeds); ++seed) {
    CAPTURE(scenario, seed);
    const std::vector<float> expected = found->run(cpu_bench, static_cast<std::uint32_t>(seed));
    const std::vector<double> exact(expected.begin(), expected.end());
    in_every_order([&] {
      const std::vector<float> result = found->run(gpu_bench, static_cast<std::uint32_t>(seed));
      queue->wait();
      CHECK(worst_error(result, exact) <= tolerance);
    });
  }
}

}  // namespace krait::test
