#pragma once

#include <functional>
#include <string>

#include "tests/emulation/emulated_device.h"
#include "tests/emulation/emulated_grid.h"
#include "tests/kernels/scenarios.h"

namespace krait::test {

/// Runs `fn` once in every order of threads that the emulation has: forward, reverse, and at random. Sanitized builds,
/// which are slow and find the same in each, take the last alone.
void in_every_order(const std::function<void()>& fn);

/// The scenario of this name (tests/kernels/scenarios.h) on the emulated GPU, in every order of threads, against the
/// portable CPU kernels: no result may be further from theirs than tolerance * (1 + |theirs|). One seed in sanitized
/// builds.
void check_agreement(const std::string& scenario, double tolerance, int seeds = 3);

}  // namespace krait::test
