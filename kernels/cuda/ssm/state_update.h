#pragma once

#include "kernels/cuda/ssm/ssm_inputs.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// SelectiveStateUpdateArgs on the device: a token or a draft of each sequence. Bytes: the states read and, for each
/// token, written; 2 heads head_dim state_size elements a sequence of one token, beside which x, dt, B, C and y are
/// small; 5 flops an element. The bound is memory: 85 % of its bandwidth from 32 rows of 2 MiB on.
///
/// A warp takes 2 to 32 rows of one head: a lane loads 16 bytes of each of up to 4 rows before it computes, and their
/// sums share their shuffles. For state sizes of 16, 64, 96, 128 and 256 with one decay a head (Mamba-2), and of 16
/// with one an element (Mamba-1); any other has a slower kernel of a warp a row.
struct StateUpdate {
  SsmInputs in{};
  const std::int32_t* state_read = nullptr;         ///< [batch]
  const std::int32_t* state_write = nullptr;        ///< [batch * tokens]; 0: padding
  const std::uint8_t* has_initial_state = nullptr;  ///< [batch], or null: all have one
  int batch = 0;
  int tokens = 1;  ///< of each sequence; the state goes from token to token through the slot that it was left in
};
void state_update(const StateUpdate& args, Stream stream);

}  // namespace krait::cuda
