#pragma once

#include <cstdint>

#include "kernels/cuda/ssm/ssm_inputs.h"

/// Which kernel a recurrence takes: few instantiations, chosen on the host.
namespace krait::cuda {

/// One decay a head and token, exp(dt A).
inline bool one_decay(const SsmInputs& in) { return !in.dt_per_row && in.a_stride_row == 0 && in.a_stride_state == 0; }
/// A decay an element, A one row of state_size after another.
inline bool element_decay(const SsmInputs& in) { return in.dt_per_row && in.a_stride_state == 1; }

inline bool aligned16(const void* data, std::int64_t stride_in_floats) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride_in_floats % 4 == 0;
}

template <int N>
struct StateSize {
  static constexpr int kSize = N;
};

/// Calls fn with the StateSize; false for a size that has no kernel of its own.
template <typename Fn>
bool with_state_size(int size, Fn fn) {
  switch (size) {
    case 16:
      fn(StateSize<16>{});
      return true;
    case 64:
      fn(StateSize<64>{});
      return true;
    case 96:
      fn(StateSize<96>{});
      return true;
    case 128:
      fn(StateSize<128>{});
      return true;
    case 256:
      fn(StateSize<256>{});
      return true;
    default:
      return false;
  }
}

}  // namespace krait::cuda
