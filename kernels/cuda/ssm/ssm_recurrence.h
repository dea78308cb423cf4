#pragma once

#include "kernels/cuda/ssm/ssm_inputs.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// SsmScanArgs and SelectiveScanArgs on the device, token by token: a state is rounded to its type after every token,
/// so a sequence cut anywhere gives the same bits. A block takes some rows of one head of one sequence, holds them in
/// registers and stages 16 tokens at a time in shared memory.
///
/// Mamba-2: 5 flops an element of the state and token, and the latency of a token's sum: bound by arithmetic and by how
/// few blocks short batches have, far from the memory's bound; long prefills take the chunked scan. Mamba-1: one
/// exponential an element of the state and token, bound by the special function units: 290 us for 8192 tokens of 8192
/// channels of 16 at 3.7 T exponentials a second.
///
/// The state sizes of `StateUpdate` are fast; any other keeps its state in memory.
struct SsmRecurrence {
  SsmInputs in{};  ///< without z
  Sequences sequences{};
  int few_tokens = 0;  ///< above 0: sequences with more of them are left to the chunked scan
};
void ssm_recurrence(const SsmRecurrence& args, Stream stream);

}  // namespace krait::cuda
