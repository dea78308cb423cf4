#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/cuda/device.h"

namespace krait::cuda {

/// Takes the graph and makes what can be launched of it. Throws DeviceError.
std::unique_ptr<DeviceGraph> instantiate(cudaGraph_t graph);
/// Puts what `instantiate` made into the stream.
void launch_graph(const DeviceGraph& graph, cudaStream_t stream);

}  // namespace krait::cuda
