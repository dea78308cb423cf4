#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/sequences.cuh"
#include "kernels/cuda/ssm/ssm_inputs.h"

namespace krait::cuda {

/// clamp(softplus(dt + bias)); a NaN passes. `index` is that of the head, or of the row with dt_per_row.
__device__ __forceinline__ float discrete_dt(const SsmInputs& in, std::int64_t token, int index) {
  float dt = in.dt.data[token * in.dt.stride + index];
  if (in.dt_bias != nullptr) dt += in.dt_bias[index];
  if (in.dt_softplus) dt = softplus(dt);
  if (dt < in.dt_min) dt = in.dt_min;
  if (in.dt_max > 0.0F && dt > in.dt_max) dt = in.dt_max;
  return dt;
}

/// y of one row from its sum: the skip connection, and the gate.
__device__ __forceinline__ float finish_row(const SsmInputs& in, std::int64_t token, int head, int row, float x,
                                            float sum) {
  if (in.d != nullptr) sum += in.d[head * in.d_stride_head + row * in.d_stride_row] * x;
  if (in.z.data == nullptr) return sum;
  return sum * silu(in.z.data[token * in.z.stride + head * in.head_dim + row]);
}

/// The first element of a head's rows in a slot.
template <typename State>
__device__ __forceinline__ State* head_state(const SsmInputs& in, int slot, int head) {
  return reinterpret_cast<State*>(state_slot(in.state, slot)) +
         static_cast<std::int64_t>(head) * in.head_dim * in.state_size;
}

}  // namespace krait::cuda
