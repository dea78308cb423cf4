#pragma once

#include "kernels/cuda/attention/paged_kv.h"
#include "kernels/cuda/port.cuh"

/// Rows of the KV pages on the device: a part (K or V of one layer and page) is [head][token][dim], and for int8 the
/// scales [head][token] follow.
namespace krait::cuda {

/// A row of one head and token.
struct KvRow {
  std::byte* part = nullptr;
  int row = 0;  ///< head * block_size + token
};

__device__ __forceinline__ KvRow key_row(const PagedKv& cache, std::int64_t page, int head, int token) {
  return {cache.base + static_cast<std::size_t>(page) * cache.page_stride, head * cache.block_size + token};
}
__device__ __forceinline__ KvRow value_row(const PagedKv& cache, std::int64_t page, int head, int token) {
  const KvRow key = key_row(cache, page, head, token);
  return {key.part + cache.value_offset, key.row};
}

template <typename T>
__device__ __forceinline__ T* row_elements(const KvRow& at, int dim) {
  return reinterpret_cast<T*>(at.part) + static_cast<std::int64_t>(at.row) * dim;
}

/// Where an int8 row's scale is. Parts of odd sizes have their scales at any byte.
__device__ __forceinline__ std::byte* row_scale(const PagedKv& cache, const KvRow& at, int dim) {
  const std::int64_t elements = static_cast<std::int64_t>(cache.kv_heads) * cache.block_size * dim;
  return at.part + elements + static_cast<std::int64_t>(at.row) * 4;
}
__device__ __forceinline__ bool is_word(const std::byte* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 4 == 0;
}
__device__ __forceinline__ float load_scale(const std::byte* from) {
  if (is_word(from)) return *reinterpret_cast<const float*>(from);
  std::uint32_t bits = 0;
  UNROLL for (unsigned i = 0; i < 4; ++i) bits |= static_cast<std::uint32_t>(from[i]) << (8 * i);
  return __uint_as_float(bits);
}
__device__ __forceinline__ void store_scale(std::byte* to, float scale) {
  if (is_word(to)) {
    *reinterpret_cast<float*>(to) = scale;
    return;
  }
  const std::uint32_t bits = __float_as_uint(scale);
  UNROLL for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(bits >> (8 * i) & 0xffU);
}

}  // namespace krait::cuda
