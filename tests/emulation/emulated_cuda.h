#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "kernels/cuda/launch_config.h"
#include "tests/emulation/emulated_ptx.h"

/// What kernels/cuda/port.cuh takes instead of CUDA: kernels compile as C++ and run on the emulated grid.

#define SHARED_ARRAY(T, name, n) T(&name)[n] = ::krait::cuda::emulation::shared_array<T, (n)>([] {})
#define DYNAMIC_SHARED(name) unsigned char* name = ::krait::cuda::emulation::dynamic_shared()
#define UNROLL

namespace krait::cuda {

/// Runs at once; arguments are copied first, as a launch copies them.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, Arguments&&... arguments) {
  std::tuple<Parameters...> held{static_cast<Parameters>(std::forward<Arguments>(arguments))...};
  emulation::run_grid({how.grid.x, how.grid.y, how.grid.z}, {how.block.x, how.block.y, how.block.z}, how.shared_bytes,
                      [&] { std::apply(kernel, held); });
}

}  // namespace krait::cuda
