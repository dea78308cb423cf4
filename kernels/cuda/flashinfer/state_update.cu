#include "kernels/cuda/flashinfer/state_update.h"

#include <cstdint>
#include <limits>
#include <string>

// FlashInfer's own launches read these names; ours give the kernels their template arguments.
[[maybe_unused]] constexpr int DIM = 64;
[[maybe_unused]] constexpr int DSTATE = 128;
[[maybe_unused]] constexpr int NTOKENS_MTP = 1;
[[maybe_unused]] constexpr int PHILOX_ROUNDS = 0;
using cuSeqlensIndex_t = std::int32_t;
using numAcceptedIndex_t = std::int32_t;
#define FLASHINFER_MAMBA_ENABLE_SM90  // with the kernels that use the tensor memory accelerator

#include <flashinfer/exception.h>

#include <flashinfer/mamba/selective_state_update.cuh>

#include "kernels/cuda/flashinfer/calls.cuh"
#include "kernels/cuda/runtime/driver_api.h"

namespace krait::cuda {
namespace {

using flashinfer::mamba::SelectiveStateUpdateParams;

SelectiveStateUpdateParams params_of(const StateUpdate& args, std::int64_t state_stride) {
  const SsmInputs& in = args.in;
  const auto input = [](const auto* data) { return const_cast<void*>(static_cast<const void*>(data)); };
  SelectiveStateUpdateParams params;
  params.batch = static_cast<std::uint32_t>(args.batch);
  params.nheads = static_cast<std::uint32_t>(in.heads);
  params.dim = static_cast<std::uint32_t>(in.head_dim);
  params.dstate = static_cast<std::uint32_t>(in.state_size);
  params.ngroups = static_cast<std::uint32_t>(in.groups);
  params.pad_slot_id = 0;
  params.x_stride_batch = in.x.stride;
  params.dt_stride_batch = in.dt.stride;
  params.B_stride_batch = in.b.stride;
  params.C_stride_batch = in.c.stride;
  params.out_stride_batch = in.y.stride;
  params.z_stride_batch = in.z.stride;
  params.state_stride_batch = state_stride;
  params.state = in.state.data;
  params.x = input(in.x.data);
  params.dt = input(in.dt.data);
  params.dt_bias = input(in.dt_bias);
  params.A = input(in.a);
  params.B = input(in.b.data);
  params.C = input(in.c.data);
  params.D = input(in.d);
  params.z = input(in.z.data);
  params.output = in.y.data;
  params.state_batch_indices = input(args.state_read);
  params.dst_state_batch_indices = input(args.state_write);
  params.dst_state_batch_indices_stride_batch = 1;
  params.dt_softplus = in.dt_softplus;
  return params;
}

template <typename State>
constexpr CUtensorMapDataType kTensorMapType = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
template <>
constexpr CUtensorMapDataType kTensorMapType<half> = CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
template <>
constexpr CUtensorMapDataType kTensorMapType<nv_bfloat16> = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;

/// Tiles of `rows` rows of one head in [slot, heads, rows, state_size].
template <typename State>
CUtensorMap tiles_of_state(const StateUpdate& args, int rows) {
  const SsmInputs& in = args.in;
  // How many slots there are, nobody tells a kernel; the descriptor only wants a bound.
  constexpr cuuint64_t kManySlots = cuuint64_t{1} << 24;
  const auto size = static_cast<cuuint64_t>(in.state_size);
  const auto head_rows = static_cast<cuuint64_t>(in.head_dim);
  const cuuint64_t shape[] = {size, head_rows, static_cast<cuuint64_t>(in.heads), kManySlots};
  const cuuint64_t strides[] = {size * sizeof(State), size * head_rows * sizeof(State), in.state.stride};
  const cuuint32_t box[] = {static_cast<cuuint32_t>(size), static_cast<cuuint32_t>(rows), 1, 1};
  const cuuint32_t steps[] = {1, 1, 1, 1};
  CUtensorMap map{};
  const DriverApi& driver = driver_api();
  driver.check(driver.encode_tiles(&map, kTensorMapType<State>, 4, in.state.data, shape, strides, box, steps,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                                   CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
               "cuTensorMapEncodeTiled");
  return map;
}

template <typename State, int kDim, int kState>
void run_simple(const StateUpdate& args, const SelectiveStateUpdateParams& params, cudaStream_t stream) {
  constexpr int kWarps = 4;
  constexpr int kRows = 4;
  const dim3 grid(params.batch, params.nheads, kDim / kRows);
  flashinfer::mamba::selective_state_update_kernel_simple<float, float, float, State, std::int32_t, void, kDim, kState,
                                                          kRows, kWarps, PHILOX_ROUNDS>
      <<<grid, dim3(32, kWarps), 0, stream>>>(params);
}

template <typename State, int kDim, int kState>
void run_vertical(const StateUpdate& args, const SelectiveStateUpdateParams& params, cudaStream_t stream) {
  constexpr int kConsumers = 4;
  constexpr int kStageRows = 4 * kConsumers;
  constexpr int kStages = 3;
  constexpr auto kKernel = flashinfer::mamba::selective_state_update_kernel_producer_consumer_vertical<
      float, float, float, State, std::int32_t, void, kDim, kState, PHILOX_ROUNDS, kConsumers, kStageRows, kStages>;
  using Shared =
      flashinfer::mamba::SharedStorageVertical<float, float, float, State, void, kStageRows, kDim, kState, kStages>;
  check(cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared)),
        "cudaFuncSetAttribute");
  kKernel<<<dim3(params.batch, params.nheads), dim3(32, 1 + kConsumers), sizeof(Shared), stream>>>(
      params, tiles_of_state<State>(args, kStageRows));
}

template <typename State, int kDim, int kState>
void run(const StateUpdate& args, int multiprocessors, cudaStream_t stream) {
  const auto params = params_of(args, static_cast<std::int64_t>(args.in.state.stride / sizeof(State)));
  if (std::int64_t{args.batch} * args.in.heads < 2 * std::int64_t{multiprocessors}) {
    run_simple<State, kDim, kState>(args, params, stream);
  } else {
    run_vertical<State, kDim, kState>(args, params, stream);
  }
  check(cudaGetLastError(), "FlashInfer's state update");
}

template <typename State, int kDim>
void run_dim(const StateUpdate& args, int multiprocessors, cudaStream_t stream) {
  switch (args.in.state_size) {
    case 64:
      return run<State, kDim, 64>(args, multiprocessors, stream);
    case 128:
      return run<State, kDim, 128>(args, multiprocessors, stream);
    case 256:
      return run<State, kDim, 256>(args, multiprocessors, stream);
    default:
      throw DeviceError("FlashInfer: states of " + std::to_string(args.in.state_size));
  }
}

template <typename State>
void run_state(const StateUpdate& args, int multiprocessors, cudaStream_t stream) {
  switch (args.in.head_dim) {
    case 64:
      return run_dim<State, 64>(args, multiprocessors, stream);
    case 128:
      return run_dim<State, 128>(args, multiprocessors, stream);
    default:
      throw DeviceError("FlashInfer: heads of " + std::to_string(args.in.head_dim) + " rows");
  }
}

}  // namespace

void flashinfer_state_update(const StateUpdate& args, int multiprocessors, Stream stream) {
  if (args.batch == 0) return;
  const auto queue = static_cast<cudaStream_t>(stream);
  call_flashinfer([&] {
    switch (args.in.state.dtype) {
      case DType::kBFloat16:
        return run_state<nv_bfloat16>(args, multiprocessors, queue);
      case DType::kFloat16:
        return run_state<half>(args, multiprocessors, queue);
      default:
        return run_state<float>(args, multiprocessors, queue);
    }
  });
}

}  // namespace krait::cuda
