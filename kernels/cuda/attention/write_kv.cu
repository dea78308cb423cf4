#include "kernels/cuda/attention/write_kv.h"

#include "kernels/cuda/attention/paged_kv.cuh"
#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;

/// One head's channels, shared out to the lanes of a warp: unit u is the u-th rotating pair, or after those a channel
/// that stays. A lane's units are its own from the first read to the last write.
struct Unit {
  int first = 0;
  int second = -1;  ///< -1: not a pair
};
__device__ __forceinline__ Unit unit_of(const Rope& rope, int u) {
  const int half = rope.rotary_dim / 2;
  if (u < half) {
    if (rope.interleaved) return {rope.offset + 2 * u, rope.offset + 2 * u + 1};
    return {rope.offset + u, rope.offset + u + half};
  }
  const int channel = u - half;
  return {channel < rope.offset ? channel : channel + rope.rotary_dim};
}

/// Norm and rotation of one head in place.
__device__ void norm_and_rotate(const WriteKv& args, float* head, const float* norm, std::int64_t token, int lane) {
  const int dim = args.cache.head_dim;
  float factor = 1.0F;
  if (norm != nullptr) {
    float squares = 0.0F;
    for (int i = lane; i < dim; i += kWarp) squares += head[i] * head[i];
    factor = 1.0F / sqrtf(warp_sum(squares) / static_cast<float>(dim) + args.norm_eps);
    __syncwarp();  // the sum's lanes read what other lanes write below
  } else if (args.rope.rotary_dim == 0) {
    return;
  }
  const std::int64_t position = args.rope.rotary_dim > 0 ? args.positions[token] : 0;
  const float* cos = args.rope.cos.data + position * args.rope.cos.stride;
  const float* sin = args.rope.sin.data + position * args.rope.sin.stride;
  const auto normed = [&](int channel) {
    return norm == nullptr ? head[channel] : head[channel] * factor * norm[channel];
  };
  for (int u = lane; u < dim - args.rope.rotary_dim / 2; u += kWarp) {
    const Unit unit = unit_of(args.rope, u);
    const float a = normed(unit.first);
    if (unit.second < 0) {
      if (norm != nullptr) head[unit.first] = a;
      continue;
    }
    const float b = normed(unit.second);
    head[unit.first] = fmaf(a, cos[u], -(b * sin[u]));
    head[unit.second] = fmaf(b, cos[u], a * sin[u]);
  }
  __syncwarp();  // the cache is written by other lanes
}

template <typename T>
__device__ void store_row(const KvRow& to, const float* from, int dim, int lane) {
  T* row = row_elements<T>(to, dim);
  for (int i = lane; i < dim; i += kWarp) row[i] = from_float<T>(from[i]);
}

/// q = round(x * 127 / max |x|); a row whose largest element is below 1e-30 counts as zeros, and one that is not finite
/// has the scale NaN.
__device__ void store_int8_row(const PagedKv& cache, const KvRow& to, const float* from, int dim, int lane) {
  float largest = 0.0F;
  float finite = 0.0F;  // NaN once an element was not
  for (int i = lane; i < dim; i += kWarp) {
    largest = fmaxf(largest, fabsf(from[i]));
    finite += from[i] * 0.0F;
  }
  largest = warp_max(largest);
  finite = warp_sum(finite);
  const bool zeros = largest < 1e-30F || finite != 0.0F;
  const float factor = zeros ? 0.0F : 127.0F / largest;
  auto* row = row_elements<signed char>(to, dim);
  for (int i = lane; i < dim; i += kWarp) {
    row[i] = zeros ? static_cast<signed char>(0) : static_cast<signed char>(rintf(from[i] * factor));
  }
  if (lane == 0) store_scale(row_scale(cache, to, dim), finite != 0.0F ? finite : zeros ? 0.0F : largest / 127.0F);
}

__device__ void store(const PagedKv& cache, const KvRow& to, const float* from, int dim, int lane) {
  switch (cache.dtype) {
    case DType::kBFloat16:
      return store_row<bfloat16>(to, from, dim, lane);
    case DType::kFloat16:
      return store_row<float16>(to, from, dim, lane);
    case DType::kInt8:
      return store_int8_row(cache, to, from, dim, lane);
    default:
      return store_row<float>(to, from, dim, lane);
  }
}

__global__ void __launch_bounds__(kWarps* kWarp) write_kv_kernel(const WriteKv args) {
  const PagedKv& cache = args.cache;
  const std::int64_t token = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int head = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (head < args.heads) {
    norm_and_rotate(args, args.q.data + token * args.q.stride + head * cache.head_dim, args.q_norm, token, lane);
    return;
  }
  head -= args.heads;
  const std::int64_t slot = args.slot_mapping[token];
  const std::int64_t page = slot / cache.block_size;
  const int offset = static_cast<int>(slot % cache.block_size);
  if (head < cache.kv_heads) {
    float* k = args.k.data + token * args.k.stride + head * cache.head_dim;
    norm_and_rotate(args, k, args.k_norm, token, lane);
    if (slot >= 0) store(cache, key_row(cache, page, head, offset), k, cache.head_dim, lane);
    return;
  }
  head -= cache.kv_heads;
  if (head >= cache.kv_heads || args.v.data == nullptr || slot < 0) return;
  const float* v = args.v.data + token * args.v.stride + head * cache.value_dim;
  store(cache, value_row(cache, page, head, offset), v, cache.value_dim, lane);
}

}  // namespace

void write_kv(const WriteKv& args, Stream stream) {
  if (args.tokens == 0) return;
  const int heads = args.heads + (args.v.data == nullptr ? 1 : 2) * args.cache.kv_heads;
  launch(write_kv_kernel,
         {.grid = {static_cast<unsigned>(args.tokens), blocks_for(heads, kWarps)},
          .block = {kWarps * kWarp},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
