#pragma once

#include <cstdint>
#include <vector>

#include "kernels/operations.h"
#include "models/backends/batch_layout.h"

namespace krait {

/// Sequences that a varlen state kernel may work on at the same time: the arrays behind a SequenceBatch.
struct SequenceWave {
  std::vector<std::int32_t> query_start_loc;
  std::vector<std::int32_t> state_read;
  std::vector<std::int32_t> state_write;
  std::vector<std::uint8_t> has_initial_state;
  std::vector<std::int32_t> num_computed_tokens;
  std::vector<StateSnapshot> snapshots;

  void list_arrays(StepArrays& arrays) const {
    arrays.add(query_start_loc);
    arrays.add(state_read);
    arrays.add(state_write);
    arrays.add(has_initial_state);
    arrays.add(num_computed_tokens);
    arrays.add(snapshots);
  }
  [[nodiscard]] SequenceBatch batch() const {
    return {.query_start_loc = query_start_loc,
            .state_read = state_read,
            .state_write = state_write,
            .has_initial_state = has_initial_state,
            .num_computed_tokens = num_computed_tokens,
            .snapshots = snapshots};
  }
};

/// The requests [first_request, R) of a step in waves, to be computed one after another; tokens are counted from the
/// first one's. Without snapshots there is one wave, the step itself. A request with snapshots is cut after each of
/// them: its first piece, in the first wave, leaves its state in the snapshot's slot, from where the next piece goes on
/// in the next wave. Because recurrences are exact under any cut, kernels need to know nothing of snapshots. What a
/// wave does not compute has state_write 0.
std::vector<SequenceWave> make_sequence_waves(const BatchLayout& batch, int first_request);

/// The requests [first_request, R) in one piece each, with the snapshots that are to be left on the way: for operations
/// that can.
SequenceWave make_whole_wave(const BatchLayout& batch, int first_request);

}  // namespace krait
