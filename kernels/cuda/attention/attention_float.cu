#include "kernels/cuda/attention/attention_tile.cuh"
#include "kernels/cuda/attention/paged_kv.cuh"
#include "kernels/result.h"

namespace krait::cuda {
namespace {

constexpr int kKeys = 32;  ///< of a tile: one a lane
constexpr float kNothing = -INFINITY;

/// Shared memory of a block, in floats. Rows begin at 16 bytes, four banks on from the row before.
struct Layout {
  int width = 0;        ///< head_dim rounded up to 4, the rest zero
  int value_width = 0;  ///< value_dim rounded up to 4
  int q = 0;            ///< [rows][stride]
  int keys = 0;         ///< [32][stride]
  int values = 0;       ///< [32][value_stride]; the keys where V is a part of K
  int sums = 0;         ///< [rows][value_width]
  int weights = 0;      ///< [rows][32]
  int stride = 0;
  int value_stride = 0;
  int floats = 0;
};
__host__ __device__ constexpr Layout layout_of(const PagedKv& cache, int rows) {
  Layout at;
  at.width = (cache.head_dim + 3) / 4 * 4;
  at.value_width = (cache.value_dim + 3) / 4 * 4;
  at.stride = at.width + 4;
  at.keys = rows * at.stride;
  at.values = cache.value_offset == 0 ? at.keys : at.keys + kKeys * at.stride;
  at.value_stride = cache.value_offset == 0 ? at.stride : at.value_width + 4;
  at.sums = at.keys + kKeys * at.stride + (cache.value_offset == 0 ? 0 : kKeys * at.value_stride);
  at.weights = at.sums + rows * at.value_width;
  at.floats = at.weights + rows * kKeys;
  return at;
}

__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ __forceinline__ float dot4(float4 a, float4 b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}
__device__ __forceinline__ void add4(float4& sum, float p, float4 v) {
  sum = make_float4(fmaf(p, v.x, sum.x), fmaf(p, v.y, sum.y), fmaf(p, v.z, sum.z), fmaf(p, v.w, sum.w));
}

/// A warp's row of `dim` elements to floats, with zeros up to `width`.
template <typename T>
__device__ __forceinline__ void load_row(const T* from, int dim, float* to, int width, int lane) {
  for (int i = lane; i < width; i += kWarp) to[i] = i < dim ? to_float(from[i]) : 0.0F;
}
__device__ void load_kv_row(const PagedKv& cache, const KvRow& at, int dim, float* to, int width, int lane) {
  switch (cache.dtype) {
    case DType::kBFloat16:
      return load_row(row_elements<const bfloat16>(at, dim), dim, to, width, lane);
    case DType::kFloat16:
      return load_row(row_elements<const float16>(at, dim), dim, to, width, lane);
    case DType::kInt8: {
      const float scale = load_scale(row_scale(cache, at, dim));
      const auto* from = row_elements<const signed char>(at, dim);
      for (int i = lane; i < width; i += kWarp) to[i] = i < dim ? scale * static_cast<float>(from[i]) : 0.0F;
      return;
    }
    default:
      return load_row(row_elements<const float>(at, dim), dim, to, width, lane);
  }
}

template <int kWarps, int kRows>
__global__ void __launch_bounds__(kWarps* kWarp, 1)
    attention_kernel(const PagedAttention args, const AttentionPart part, const Partials partials) {
  constexpr int kTileRows = kWarps * kRows;
  // The longest rows come first: they are the last tiles of a prompt.
  const RowTile tile = row_tile(args, part, kTileRows, static_cast<int>(gridDim.x - 1 - blockIdx.x));
  if (tile.rows == 0) return;
  const int segment = static_cast<int>(blockIdx.z);
  const KeySpan keys = key_span(args, part, tile, segment);
  if (keys.begin >= keys.end) return;

  DYNAMIC_SHARED(memory);
  auto* shared = reinterpret_cast<float*>(memory);
  const PagedKv& cache = args.cache;
  const Layout at = layout_of(cache, kTileRows);
  const int kv_head = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int first_row = warp * kRows;
  float* q = shared + at.q + first_row * at.stride;
  float* sums = shared + at.sums + first_row * at.value_width;
  float* weights = shared + at.weights + first_row * kKeys;
  float max[kRows];
  float total[kRows];
  int first_key[kRows];
  int last_key[kRows];
  UNROLL for (int r = 0; r < kRows; ++r) {
    const int row = first_row + r;
    const bool present = row < tile.rows;
    max[r] = kNothing;
    total[r] = 0.0F;
    last_key[r] = present ? tile.position(row) : -1;
    first_key[r] = present ? first_visible_key(args.sliding_window, last_key[r]) : 0;
    const int head = kv_head * tile.group + tile.head(row);
    const float* from = present ? args.q.data + tile.token(row) * args.q.stride + head * cache.head_dim : nullptr;
    load_row(from, present ? cache.head_dim : 0, q + r * at.stride, at.width, lane);
    for (int c = lane * 4; c < at.value_width; c += kWarp * 4) {
      *reinterpret_cast<float4*>(sums + r * at.value_width + c) = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
    }
  }
  const std::int32_t* pages = args.block_table + static_cast<std::int64_t>(tile.request) * args.max_blocks;
  for (int base = keys.begin / kKeys * kKeys; base < keys.end; base += kKeys) {
    __syncthreads();  // the tile before is still read
    for (int j = warp; j < kKeys; j += kWarps) {
      const int position = base + j;
      float* key = shared + at.keys + j * at.stride;
      float* value = shared + at.values + j * at.value_stride;
      if (position < keys.begin || position >= keys.end) {
        // Weights of 0 must meet no NaN.
        load_row<float>(nullptr, 0, key, at.width, lane);
        if (cache.value_offset != 0) load_row<float>(nullptr, 0, value, at.value_width, lane);
        continue;
      }
      const std::int64_t page = pages[position / cache.block_size];
      const int slot = position % cache.block_size;
      load_kv_row(cache, key_row(cache, page, kv_head, slot), cache.head_dim, key, at.width, lane);
      if (cache.value_offset == 0) continue;
      load_kv_row(cache, value_row(cache, page, kv_head, slot), cache.value_dim, value, at.value_width, lane);
    }
    __syncthreads();
    if (first_row >= tile.rows) continue;

    float score[kRows] = {};
    const float* key = shared + at.keys + lane * at.stride;
    for (int d = 0; d < at.width; d += 4) {
      const float4 k = load4(key + d);
      UNROLL for (int r = 0; r < kRows; ++r) score[r] = dot4(load4(q + r * at.stride + d), k, score[r]);
    }
    float correction[kRows];
    const int position = base + lane;
    UNROLL for (int r = 0; r < kRows; ++r) {
      const bool visible = position >= first_key[r] && position <= last_key[r] && position < keys.end;
      const float s = visible && position >= keys.begin ? final_score(args, score[r]) : kNothing;
      const float new_max = fmaxf(max[r], warp_max(s));
      const float from = new_max == kNothing ? 0.0F : new_max;
      const float weight = expf(s - from);
      correction[r] = expf(max[r] - from);
      total[r] = total[r] * correction[r] + warp_sum(weight);
      max[r] = new_max;
      weights[r * kKeys + lane] = weight;
    }
    __syncwarp();
    for (int c = lane * 4; c < at.value_width; c += kWarp * 4) {
      float4 sum[kRows];
      UNROLL for (int r = 0; r < kRows; ++r) {
        const float4 old = load4(sums + r * at.value_width + c);
        sum[r] =
            make_float4(old.x * correction[r], old.y * correction[r], old.z * correction[r], old.w * correction[r]);
      }
      const float* value = shared + at.values + c;
      for (int j = 0; j < kKeys; j += 4) {
        const float4 v0 = load4(value + j * at.value_stride);
        const float4 v1 = load4(value + (j + 1) * at.value_stride);
        const float4 v2 = load4(value + (j + 2) * at.value_stride);
        const float4 v3 = load4(value + (j + 3) * at.value_stride);
        UNROLL for (int r = 0; r < kRows; ++r) {
          const float4 p = load4(weights + r * kKeys + j);
          add4(sum[r], p.x, v0);
          add4(sum[r], p.y, v1);
          add4(sum[r], p.z, v2);
          add4(sum[r], p.w, v3);
        }
      }
      UNROLL for (int r = 0; r < kRows; ++r) * reinterpret_cast<float4*>(sums + r * at.value_width + c) = sum[r];
    }
    __syncwarp();  // the weights are still read
  }

  UNROLL for (int r = 0; r < kRows; ++r) {
    const int row = first_row + r;
    if (row >= tile.rows) continue;
    const int head = kv_head * tile.group + tile.head(row);
    const float* from = sums + r * at.value_width;
    if (part.segments == 1) {
      const RowEnd end = with_sink(args, head, max[r], total[r]);
      const float factor = expf(max[r] - end.max);
      float* out = args.out.data + tile.token(row) * args.out.stride + head * cache.value_dim;
      for (int c = lane; c < cache.value_dim; c += kWarp) out[c] = from[c] * factor / end.weight;
      continue;
    }
    const std::int64_t index =
        (static_cast<std::int64_t>(tile.token(row) - part.first_token) * args.heads + head) * part.segments + segment;
    float* out = partials.sums + index * cache.value_dim;
    for (int c = lane; c < cache.value_dim; c += kWarp) out[c] = from[c];
    if (lane == 0) {
      partials.weights[2 * index] = max[r];
      partials.weights[2 * index + 1] = total[r];
    }
  }
}

template <int kWarps, int kRows>
bool attend(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  constexpr std::size_t kMostShared = std::size_t{227} << 10;
  constexpr int kTileRows = kWarps * kRows;
  const std::size_t shared = static_cast<std::size_t>(layout_of(args.cache, kTileRows).floats) * sizeof(float);
  if (shared > kMostShared) return false;
  launch(attention_kernel<kWarps, kRows>,
         {.grid = {tile_blocks(part, args.heads / args.cache.kv_heads, kTileRows),
                   static_cast<unsigned>(args.cache.kv_heads), static_cast<unsigned>(part.segments)},
          .block = {kWarps * kWarp},
          .shared_bytes = shared,
          .stream = stream},
         args, part, partials);
  return true;
}

}  // namespace

void attention_float(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  if (!part.split && attend<8, 8>(args, part, partials, stream)) return;
  if (attend<4, 4>(args, part, partials, stream)) return;
  KRAIT_BUG("attention heads too wide for a block's shared memory");
}

}  // namespace krait::cuda
