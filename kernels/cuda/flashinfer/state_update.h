#pragma once

#include "kernels/cuda/ssm/state_update.h"

namespace krait::cuda {

/// StateUpdate by FlashInfer's kernels, as FlashInfer chooses among them: a warp a row where there are fewer than two
/// blocks a multiprocessor, else states by the tensor memory accelerator through three stages of shared memory. One
/// decay a head, heads of 64 or 128, states of 64, 128 or 256; x, B and C at multiples of 16 bytes, and every row with
/// an initial state. exp and softplus are the fast ones. Needs compute capability 9.0.
void flashinfer_state_update(const StateUpdate& args, int multiprocessors, Stream stream);

}  // namespace krait::cuda
