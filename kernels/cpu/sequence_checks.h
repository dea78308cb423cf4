#pragma once

#include "kernels/cpu/kernel_args.h"
#include "kernels/cpu/view_checks.h"
#include "kernels/state_checks.h"

/// A SequenceBatch for the kernels.
namespace krait::cpu {

inline Index num_sequences(const SequenceBatch& batch) {
  return batch.query_start_loc.empty() ? 0 : static_cast<Index>(batch.query_start_loc.size()) - 1;
}

inline SequencesKernelArgs sequences_of(const SequenceBatch& batch) {
  const auto count = static_cast<std::size_t>(num_sequences(batch));
  require(batch.state_read.size() >= count && batch.state_write.size() >= count, "state slots");
  require(batch.has_initial_state.size() >= count, "initial state flags");
  require(batch.num_computed_tokens.empty() || batch.num_computed_tokens.size() >= count, "computed tokens");
  return SequencesKernelArgs{
      .query_start_loc = batch.query_start_loc.data(),
      .state_read = batch.state_read.data(),
      .state_write = batch.state_write.data(),
      .has_initial_state = batch.has_initial_state.data(),
      .num_computed_tokens = batch.num_computed_tokens.empty() ? nullptr : batch.num_computed_tokens.data()};
}

}  // namespace krait::cpu
