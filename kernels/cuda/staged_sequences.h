#pragma once

#include <numeric>
#include <vector>

#include "kernels/cuda/sequences.h"
#include "kernels/cuda/step_stage.h"
#include "kernels/operations/state_args.h"
#include "kernels/state_checks.h"

/// From a batch of sequences and its states to the kernels' plain arguments.
namespace krait::cuda {

inline Sequences staged_sequences(StepStage& stage, const SequenceBatch& batch) {
  if (batch.query_start_loc.empty()) return {};
  const std::size_t count = batch.query_start_loc.size() - 1;
  require(batch.state_read.size() >= count && batch.state_write.size() >= count, "state slots");
  require(batch.has_initial_state.size() >= count, "initial state flags");
  Sequences sequences{.query_start_loc = stage.on_device(batch.query_start_loc),
                      .state_read = stage.on_device(batch.state_read),
                      .state_write = stage.on_device(batch.state_write),
                      .has_initial_state = stage.on_device(batch.has_initial_state),
                      .count = static_cast<int>(count)};
  if (batch.snapshots.empty()) return sequences;
  std::vector<std::int32_t> first(count + 1);
  for (const StateSnapshot& snapshot : batch.snapshots) ++first[static_cast<std::size_t>(snapshot.sequence) + 1];
  std::partial_sum(first.begin(), first.end(), first.begin());
  sequences.snapshots = stage.on_device(batch.snapshots);
  sequences.first_snapshot = stage.on_device(std::span<const std::int32_t>(first));
  sequences.snapshot_count = static_cast<int>(batch.snapshots.size());
  return sequences;
}

inline StateSlots recurrent_slots(const StateCacheView& state) {
  require_recurrent_state(state);
  return {.data = state.recurrent, .stride = state.slot_stride, .dtype = state.recurrent_dtype};
}

}  // namespace krait::cuda
