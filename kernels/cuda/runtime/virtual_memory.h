#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/platform.h"

namespace krait::cuda {

/// Addresses of device `ordinal`, backed with memory block by block through the driver's virtual-memory functions: one
/// block a commit, mapped behind the others and cleared through `stream`. A block goes back as a whole: `shrink` keeps
/// one whose beginning is still wanted. The device must be the calling thread's. Throws DeviceError.
std::unique_ptr<ReservedMemory> reserve_virtual_memory(int ordinal, std::size_t capacity, cudaStream_t stream);

}  // namespace krait::cuda
