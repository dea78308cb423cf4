#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/stochastic_rounding.h"

/// How a selective state space recurrence rounds a state to its type after each token: chosen once a call.
namespace krait::cpu {
namespace {

struct RoundToNearest {
  [[nodiscard]] RoundToNearest row(Index, Index) const { return {}; }
  /// Lanes `column` to `column` + 15 of the row after token `token` of its chunk.
  template <typename V, typename StateType>
  typename V::F round(typename V::F state, Index, Index) const {
    return StateType::round(state);
  }
};

/// The rounding of one row whose chunk begins at absolute position `position`. One call of the generator for each 8
/// lanes; loops over the calls are vectors to the compiler.
struct StochasticRow {
  const StateRounding& how;
  std::uint32_t index;
  std::uint32_t position;

  template <typename V, typename StateType>
  typename V::F round(typename V::F state, Index token, Index column) const {
    float lanes[kLanes];
    V::store(lanes, state);
    for (Index block = 0; block < kLanes / kRoundedTogether; ++block) {
      const auto words = rounding_words(how, position + static_cast<std::uint32_t>(token), index,
                                        static_cast<std::uint32_t>(column / kRoundedTogether + block));
      float* elements = lanes + block * kRoundedTogether;
      for (int i = 0; i < kRoundedTogether; ++i) {
        elements[i] = round_stochastically(elements[i], rounding_bits(words, i));
      }
    }
    return V::load(lanes);
  }
};

struct RoundStochastically {
  const StateRounding& how;

  /// `row` of the layer's state; `position` is that of the next chunk's first token.
  [[nodiscard]] StochasticRow row(Index row, Index position) const {
    return {how, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(position)};
  }
};

/// Absolute position of a sequence's first token.
inline Index first_position(const SequencesKernelArgs& sequences, Index sequence) {
  return sequences.num_computed_tokens == nullptr ? 0 : sequences.num_computed_tokens[sequence];
}

/// Calls fn with the Stored of the state's type and with its rounding.
template <typename V, typename Fn>
void with_rounded_state(const StateCacheView& state, Fn fn) {
  if (state.rounding.philox_rounds > 0) {
    fn(Stored<V, DType::kFloat16>{}, RoundStochastically{state.rounding});
  } else {
    with_stored<V>(state.recurrent_dtype, [&](auto stored) { fn(stored, RoundToNearest{}); });
  }
}

}  // namespace
}  // namespace krait::cpu
