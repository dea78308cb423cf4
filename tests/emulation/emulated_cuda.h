#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "kernels/cuda/launch_config.h"
#include "tests/emulation/emulated_ptx.h"
#include "tests/emulation/emulated_stream.h"

/// What kernels/cuda/port.cuh takes instead of CUDA: kernels compile as C++ and run on the emulated grid.

#define SHARED_ARRAY(T, name, n) T(&name)[n] = ::krait::cuda::emulation::shared_array<T, (n)>([] {})
#define DYNAMIC_SHARED(name) unsigned char* name = ::krait::cuda::emulation::dynamic_shared()
#define UNROLL

namespace krait::cuda {

/// Arguments are copied first, as a launch copies them.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, Arguments&&... arguments) {
  std::tuple<Parameters...> held{static_cast<Parameters>(std::forward<Arguments>(arguments))...};
  const auto run = [kernel, how, held] {
    emulation::run_grid({how.grid.x, how.grid.y, how.grid.z}, {how.block.x, how.block.y, how.block.z}, how.shared_bytes,
                        [&] { std::apply(kernel, held); });
  };
  auto* captured = emulation::captured();
  if (captured == nullptr) return emulation::is_lazy() ? emulation::put(run) : run();
  std::string what = "launch " + emulation::value_as_text(kernel) + " " + emulation::value_as_text(how);
  std::apply([&](const Parameters&... each) { ((what += " " + emulation::value_as_text(each)), ...); }, held);
  captured->push_back({std::move(what), run});
}

}  // namespace krait::cuda
