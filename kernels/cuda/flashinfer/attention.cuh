#pragma once

#include <flashinfer/exception.h>

#include <flashinfer/attention/default_prefill_params.cuh>
#include <flashinfer/attention/mask.cuh>
#include <flashinfer/attention/prefill.cuh>
#include <flashinfer/attention/scheduler.cuh>
#include <flashinfer/attention/variants.cuh>
#include <flashinfer/pos_enc.cuh>

#include "kernels/cuda/flashinfer/attention_calls.h"
#include "kernels/cuda/flashinfer/calls.cuh"

/// FlashInfer's paged attention for one type of the cache; a `.cu` file a type instantiates it.
namespace krait::cuda {
namespace {

template <typename T>
using Params = flashinfer::BatchPrefillPagedParams<T, T, T, std::int32_t>;
/// Without a window it is as long as the keys are: one instantiation for both.
using Variant = flashinfer::DefaultAttention</*use_custom_mask=*/false, /*use_sliding_window=*/true,
                                             /*use_logits_soft_cap=*/false, /*use_alibi=*/false>;

/// to [rows, columns] = from, and back. A thread an element of one row (y).
template <typename T>
__global__ void round_rows(const ConstRows from, T* to, const int columns) {
  const auto row = static_cast<std::int64_t>(blockIdx.y);
  const auto column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column < columns) to[row * columns + column] = static_cast<T>(from.data[row * from.stride + column]);
}
template <typename T>
__global__ void widen_rows(const T* from, const Rows to, const int columns) {
  const auto row = static_cast<std::int64_t>(blockIdx.y);
  const auto column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column < columns) to.data[row * to.stride + column] = static_cast<float>(from[row * columns + column]);
}

template <typename T>
flashinfer::paged_kv_t<T, std::int32_t> paged_cache(const FlashInferAttention& args) {
  const PagedKv& cache = args.attention.cache;
  auto* keys = reinterpret_cast<T*>(cache.base);
  auto* values = reinterpret_cast<T*>(cache.base + cache.value_offset);
  // [page][head][token]
  const std::int64_t strides[] = {static_cast<std::int64_t>(cache.page_stride / sizeof(T)),
                                  std::int64_t{cache.block_size} * cache.head_dim, cache.head_dim};
  return {static_cast<std::uint32_t>(cache.kv_heads),
          static_cast<std::uint32_t>(cache.block_size),
          static_cast<std::uint32_t>(cache.head_dim),
          static_cast<std::uint32_t>(args.requests),
          flashinfer::QKVLayout::kHND,
          keys,
          values,
          strides,
          const_cast<std::int32_t*>(args.pages),
          const_cast<std::int32_t*>(args.page_start_loc),
          const_cast<std::int32_t*>(args.last_page_tokens)};
}

template <typename T>
Params<T> params_of(const FlashInferAttention& args, const flashinfer::PrefillPlanInfo& plan) {
  using flashinfer::GetPtrFromBaseOffset;
  const PagedAttention& attention = args.attention;
  const int dim = attention.cache.head_dim;
  Params<T> params(static_cast<T*>(args.rounded_q), paged_cache<T>(args), /*maybe_custom_mask=*/nullptr,
                   const_cast<std::int32_t*>(attention.query_start_loc), /*maybe_mask_indptr=*/nullptr,
                   /*maybe_q_rope_offset=*/nullptr, static_cast<T*>(args.rounded_out), /*lse=*/nullptr,
                   /*maybe_alibi_slopes=*/nullptr, static_cast<std::uint32_t>(attention.heads), attention.heads * dim,
                   dim, attention.sliding_window - 1, /*logits_soft_cap=*/0.0F, attention.scale, /*rope_scale=*/1.0F,
                   /*rope_theta=*/1.0F);
  const auto table = [&](std::int64_t offset) { return GetPtrFromBaseOffset<std::int32_t>(args.tables, offset); };
  params.request_indices = table(plan.request_indices_offset);
  params.qo_tile_indices = table(plan.qo_tile_indices_offset);
  params.kv_tile_indices = table(plan.kv_tile_indices_offset);
  params.o_indptr = table(plan.o_indptr_offset);
  params.kv_chunk_size_ptr = table(plan.kv_chunk_size_ptr_offset);
  if (plan.split_kv) params.merge_indptr = table(plan.merge_indptr_offset);
  params.padded_batch_size = static_cast<std::uint32_t>(plan.padded_batch_size);
  params.max_total_num_rows = static_cast<std::uint32_t>(plan.total_num_rows);
  return params;
}

template <typename T, int kTile, int kDim>
void run_tile(const FlashInferAttention& args, const flashinfer::PrefillPlanInfo& plan, cudaStream_t stream) {
  T* sums = nullptr;
  float* weights = nullptr;
  if (plan.split_kv) {
    sums = flashinfer::GetPtrFromBaseOffset<T>(args.partials, plan.v_offset);
    weights = flashinfer::GetPtrFromBaseOffset<float>(args.partials, plan.s_offset);
  }
  check(flashinfer::BatchPrefillWithPagedKVCacheDispatched<
            /*SAME_KV_STRIDES=*/true, kTile, kDim, kDim, flashinfer::PosEncodingMode::kNone,
            /*USE_FP16_QK_REDUCTION=*/false, flashinfer::MaskMode::kCausal, Variant>(
            params_of<T>(args, plan), sums, weights, /*enable_pdl=*/false, stream),
        "FlashInfer's attention");
}

template <typename T, int kDim>
void run_dim(const FlashInferAttention& args, const flashinfer::PrefillPlanInfo& plan, cudaStream_t stream) {
  switch (plan.cta_tile_q) {
    case 16:
      return run_tile<T, 16, kDim>(args, plan, stream);
    case 64:
      return run_tile<T, 64, kDim>(args, plan, stream);
    default:
      // Wide heads have no tile of 128 rows: FlashInfer's plans never ask for it.
      if constexpr (kDim < 256) return run_tile<T, 128, kDim>(args, plan, stream);
  }
  throw DeviceError("FlashInfer: a plan with tiles of " + std::to_string(plan.cta_tile_q) + " rows");
}

template <typename T>
void attend(const FlashInferAttention& args, Stream stream) {
  constexpr unsigned kThreads = 256;
  const auto queue = static_cast<cudaStream_t>(stream);
  const PagedAttention& attention = args.attention;
  const int width = attention.heads * attention.cache.head_dim;
  const dim3 grid((static_cast<unsigned>(width) + kThreads - 1) / kThreads, static_cast<unsigned>(args.tokens));
  round_rows<T><<<grid, kThreads, 0, queue>>>(attention.q, static_cast<T*>(args.rounded_q), width);
  check(cudaGetLastError(), "the rounding of q");
  call_flashinfer([&] {
    flashinfer::PrefillPlanInfo plan;
    plan.FromVector({args.plan.begin(), args.plan.end()});
    switch (attention.cache.head_dim) {
      case 64:
        return run_dim<T, 64>(args, plan, queue);
      case 128:
        return run_dim<T, 128>(args, plan, queue);
      case 256:
        return run_dim<T, 256>(args, plan, queue);
      default:
        throw DeviceError("FlashInfer: heads of " + std::to_string(attention.cache.head_dim) + " channels");
    }
  });
  widen_rows<T><<<grid, kThreads, 0, queue>>>(static_cast<const T*>(args.rounded_out), attention.out, width);
  check(cudaGetLastError(), "the widening of an attention's result");
}

}  // namespace
}  // namespace krait::cuda
