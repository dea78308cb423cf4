#pragma once

#include <string>

#include "tests/emulation/emulated_device.h"
#include "tests/emulation/emulated_grid.h"
#include "tests/kernels/scenarios.h"

namespace krait::test {

/// Runs `fn` once in every order of threads that the emulation has: forward, reverse, and at random.
template <typename Fn>
void in_every_order(Fn fn) {
  using cuda::emulation::Order;
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    cuda::emulation::set_order(order, 7);
    fn();
  }
  cuda::emulation::set_order(Order::kForward);
}

/// The scenario of this name (tests/kernels/scenarios.h) on the emulated GPU, in every order of threads, against the
/// portable CPU kernels: no result may be further from theirs than tolerance * (1 + |theirs|).
void check_agreement(const std::string& scenario, double tolerance, int seeds = 3);

}  // namespace krait::test
