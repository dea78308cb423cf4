#pragma once

#include <array>
#include <memory>

#include "kernels/communicator.h"
#include "kernels/cuda/device.h"

namespace krait::cuda {

/// What the ranks of one group have in common: one rank makes it and sends it to the others.
using NcclGroupId = std::array<std::byte, 128>;
NcclGroupId make_nccl_group_id();

/// Rank `rank` of `size` over NCCL, in the order of `stream`; the call returns when all ranks are there. Tensors are
/// contiguous, float32, float16 or bfloat16. NCCL chooses the order of a sum by how the devices are connected: it is
/// the same every time on one machine. Calls throw DeviceError. `device` must outlive it.
std::unique_ptr<Communicator> make_nccl_communicator(Device& device, Stream stream, const NcclGroupId& group, int rank,
                                                     int size);

}  // namespace krait::cuda
