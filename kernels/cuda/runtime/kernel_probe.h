#pragma once

namespace krait::cuda {

/// Whether this build has machine code for the calling thread's device, or code that its driver can compile for it.
bool has_kernels_for_device();

}  // namespace krait::cuda
