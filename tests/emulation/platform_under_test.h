#pragma once

#include <memory>

#include "kernels/platform.h"

namespace krait::test {

/// The CUDA platform that a test runs on: over the emulated GPU here, over the machine's first one in tests/gpu.
std::unique_ptr<Platform> make_platform_under_test();

}  // namespace krait::test
