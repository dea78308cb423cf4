#pragma once

#include "kernels/operations/state_args.h"
#include "kernels/view_checks.h"

/// What every platform asks of a recurrent state.
namespace krait {

/// For the selective state space recurrences, whose float16 states may be rounded stochastically.
inline void require_selective_state(const StateCacheView& state) {
  require(state.recurrent != nullptr && is_kernel_float(state.recurrent_dtype), "recurrent state");
  require(state.rounding.philox_rounds == 0 || state.recurrent_dtype == DType::kFloat16,
          "stochastic rounding of a state that is not float16");
}

/// For the others.
inline void require_recurrent_state(const StateCacheView& state) {
  require_selective_state(state);
  require(state.rounding.philox_rounds == 0, "stochastic rounding of this state");
}

}  // namespace krait
