#pragma once

#include "kernels/cuda/device.h"
#include "kernels/kernel_library.h"
#include "kernels/result.h"

namespace krait::cuda {

/// Whether the kernels that we instantiate of FlashInfer's compute such an operation on this device; the error is a
/// sentence. Known in every build, so that tests need no FlashInfer.
Status flashinfer_takes(const Device& device, const AttentionForm& form);
Status flashinfer_takes(const Device& device, const StateUpdateForm& form);

}  // namespace krait::cuda
