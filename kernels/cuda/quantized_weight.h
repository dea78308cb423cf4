#pragma once

#include <vector>

#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/weight_uploader.h"
#include "kernels/weight_parts.h"

namespace krait::cuda {

/// The shape of a quantised weight (WeightForm) with groups of `group_size` inputs; `rows` are left to the caller.
WeightShape quantized_shape(Quantization quantization, std::int64_t columns, int group_size);

/// Puts integers, scales and zero points of the parts, which are quantised already or are quantised here as the CPU
/// does it, into `weight`, whose shape is there.
void upload_quantized(const std::vector<WeightPart>& parts, const PackScheme& scheme, CudaWeight& weight,
                      WeightUploader& uploader);

}  // namespace krait::cuda
