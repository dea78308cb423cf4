#pragma once

// The one place where a kernel's source learns which compiler it is under: nvcc for a device, or a C++ compiler that
// runs it on an emulated grid (tests/emulation). Kernels use what is declared here and plain CUDA:
//
//   SHARED_ARRAY(T, name, n)     static shared memory; DYNAMIC_SHARED(name) the launch's bytes, 128-byte aligned
//   UNROLL                       in front of a loop
//   launch(kernel, how, args…)   instead of <<<>>>
//   ptx::mma_m16n8k16 …          instructions; exp2_fast is ex2.approx on the device
//   to_float, from_float<T>      16-bit floats are storage: kernels compute in float

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/launch_config.h"

#ifdef KRAIT_CUDA_EMULATION
#include "tests/emulation/emulated_cuda.h"
#else
#include "kernels/cuda/nvcc.cuh"
#endif

namespace krait::cuda {

using bfloat16 = __nv_bfloat16;
using float16 = __half;

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bfloat16 value) { return __bfloat162float(value); }
__device__ __forceinline__ float to_float(float16 value) { return __half2float(value); }

template <typename T>
__device__ __forceinline__ T from_float(float value);
template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ bfloat16 from_float<bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ __forceinline__ float16 from_float<float16>(float value) {
  return __float2half_rn(value);
}

}  // namespace krait::cuda
