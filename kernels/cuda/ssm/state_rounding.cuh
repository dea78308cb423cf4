#pragma once

#include "kernels/cuda/port.cuh"
#include "kernels/cuda/ssm/ssm_inputs.h"
#include "kernels/cuda/ssm/state_rows.cuh"

/// Rounding a state to its type after a token, as kernels/stochastic_rounding.h says. `row` is that of the layer's
/// state (head * head_dim + p), `position` the token's absolute one.
namespace krait::cuda {

__device__ __forceinline__ bool rounds_stochastically(const SsmInputs& in) { return in.rounding.philox_rounds > 0; }

/// Absolute position of the first token of a sequence, or of a row of a decode batch.
__device__ __forceinline__ int first_position(const SsmInputs& in, int sequence) {
  return in.positions == nullptr ? 0 : in.positions[sequence];
}

/// A lane's part of a row: each of its vectors of float16 is one call of the generator.
template <typename State, int N>
__device__ __forceinline__ void round_state(const SsmInputs& in, int position, int row, int lane,
                                            float (&state)[StateRows<State, N>::kLaneElements]) {
  using Layout = StateRows<State, N>;
  if constexpr (Layout::kVector == kRoundedTogether) {
    if (rounds_stochastically(in)) {
      UNROLL for (int i = 0; i < Layout::kLaneVectors; ++i) {
        const auto words =
            rounding_words(in.rounding, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(row),
                           static_cast<std::uint32_t>(Layout::column(lane, i) / kRoundedTogether));
        UNROLL for (int j = 0; j < kRoundedTogether; ++j) {
          float& element = state[i * kRoundedTogether + j];
          element = round_stochastically(element, rounding_bits(words, j));
        }
      }
      return;
    }
  }
  UNROLL for (int i = 0; i < Layout::kLaneElements; ++i) state[i] = to_float(from_float<State>(state[i]));
}

/// One element, of any layout.
__device__ __forceinline__ float round_element(const SsmInputs& in, int position, int row, int column, float state) {
  if (!rounds_stochastically(in)) return state;
  const auto words = rounding_words(in.rounding, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(row),
                                    static_cast<std::uint32_t>(column / kRoundedTogether));
  return round_stochastically(state, rounding_bits(words, column % kRoundedTogether));
}

}  // namespace krait::cuda
