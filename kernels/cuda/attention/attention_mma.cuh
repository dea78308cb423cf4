#pragma once

#include "kernels/cuda/attention/mma_tiles.cuh"

/// The kernel over the pieces of mma_tiles.cuh, and which shapes of it there are.
namespace krait::cuda {
namespace {

constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;

/// The greatest of the four lanes that share a row.
__device__ __forceinline__ float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}

/// A row's value over the columns of warps: each leaves its own in shared memory.
template <typename S>
__device__ __forceinline__ void exchange(float* shared, int column, int row, int lane, const float (&own)[2]) {
  if constexpr (S::kColumnWarps > 1) {
    if (lane % 4 == 0) {
      shared[column * S::kRows + row] = own[0];
      shared[column * S::kRows + row + 8] = own[1];
    }
    __syncthreads();
  }
}

/// Products to weights 2^(score - max), with the rows' max, weight and sums brought up to date. Scores here are in
/// units of log 2. `masked`: some key of the tile is hidden from some row. All warps of the block must call it where it
/// has several columns.
template <typename S>
__device__ __forceinline__ void weigh(const PagedAttention& args, LaneRows<S>& rows, float (&p)[S::kScoreTiles][4],
                                      int first_key, bool masked, const float* scales, float* maxima, int column,
                                      int row, int lane) {
  const float factor = args.soft_cap > 0.0F ? args.scale / args.soft_cap : args.scale * kLog2E;
  float highest[2] = {-INFINITY, -INFINITY};
  UNROLL for (int n = 0; n < S::kScoreTiles; ++n) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const int offset = n * 8 + i % 2;
      float score = p[n][i];
      if constexpr (S::kInt8) score *= scales[offset];
      score *= factor;
      if (args.soft_cap > 0.0F) score = args.soft_cap * kLog2E * tanhf(score);
      const int key = first_key + offset;
      if (masked && (key < rows.first_key[i / 2] || key > rows.last_key[i / 2])) score = -INFINITY;
      p[n][i] = score;
      highest[i / 2] = fmaxf(highest[i / 2], score);
    }
  }
  UNROLL for (int r = 0; r < 2; ++r) highest[r] = row_max(highest[r]);
  exchange<S>(maxima, column, row, lane, highest);
  float correction[2];
  float base[2];
  UNROLL for (int r = 0; r < 2; ++r) {
    if constexpr (S::kColumnWarps > 1) {
      UNROLL for (int c = 0; c < S::kColumnWarps; ++c) {
        highest[r] = fmaxf(highest[r], maxima[c * S::kRows + row + 8 * r]);
      }
    }
    const float max = fmaxf(rows.max[r], highest[r]);
    base[r] = max == -INFINITY ? 0.0F : max;
    correction[r] = ptx::exp2_fast(rows.max[r] - base[r]);
    rows.max[r] = max;
    rows.weight[r] *= correction[r];
  }
  UNROLL for (int n = 0; n < S::kScoreTiles; ++n) {
    UNROLL for (int i = 0; i < 4; ++i) {
      const float weight = ptx::exp2_fast(p[n][i] - base[i / 2]);
      rows.weight[i / 2] += weight;
      p[n][i] = weight;
      // A scale that is not finite must not reach rows that do not see its key.
      if constexpr (S::kInt8) p[n][i] = weight == 0.0F ? 0.0F : weight * scales[S::kKeys + n * 8 + i % 2];
    }
  }
  UNROLL for (int n = 0; n < S::kValueTiles; ++n) {
    UNROLL for (int i = 0; i < 4; ++i) rows.sums[n][i] *= correction[i / 2];
  }
}

/// The weights of a warp's keys to where all columns read them.
template <typename S>
__device__ __forceinline__ void share_weights(const float (&p)[S::kScoreTiles][4], unsigned char* weights, int row,
                                              int first_key) {
  using Operand = MmaOperand<typename S::Source>;
  if constexpr (S::kColumnWarps > 1) {
    UNROLL for (int n = 0; n < S::kScoreTiles; ++n) {
      UNROLL for (int r = 0; r < 2; ++r) {
        unsigned char* to = weights + (row + 8 * r) * S::kWeightStride + (first_key + n * 8) * 2;
        const float* pair = &p[n][2 * r];
        const std::uint32_t packed = Operand::pack(pair[0], pair[1]);
        *reinterpret_cast<std::uint32_t*>(to) = packed;
        if constexpr (S::kExact) {
          *reinterpret_cast<std::uint32_t*>(to + S::kRows * S::kWeightStride) =
              Operand::pack_rest(pair[0], pair[1], packed);
        }
      }
    }
    __syncthreads();
  }
}

/// Results, or the parts of split rows.
template <typename S>
__device__ __forceinline__ void store_rows(const PagedAttention& args, const AttentionPart& part,
                                           const Partials& partials, const RowTile& tile, const LaneRows<S>& rows,
                                           const float (&weight)[2], int segment, int kv_head, int column, int row,
                                           int lane) {
  const int dim = args.cache.value_dim;
  const int first_column = column * S::kValueTiles * 8 + lane % 4 * 2;
  UNROLL for (int r = 0; r < 2; ++r) {
    const int tile_row = row + 8 * r;
    if (tile_row >= tile.rows) continue;
    const int token = tile.token(tile_row);
    const int head = kv_head * tile.group + tile.head(tile_row);
    const float max = rows.max[r] * kLn2;
    float* out = nullptr;
    float factor = 1.0F;
    if (part.segments == 1) {
      const RowEnd end = with_sink(args, head, max, weight[r]);
      factor = expf(max - end.max) / end.weight;
      out = args.out.data + token * args.out.stride + static_cast<std::int64_t>(head) * dim;
    } else {
      const std::int64_t index =
          (static_cast<std::int64_t>(token - part.first_token) * args.heads + head) * part.segments + segment;
      out = partials.sums + index * dim;
      if (column == 0 && lane % 4 == 0) {
        partials.weights[2 * index] = max;
        partials.weights[2 * index + 1] = weight[r];
      }
    }
    UNROLL for (int n = 0; n < S::kValueTiles; ++n) {
      UNROLL for (int i = 0; i < 2; ++i) {
        const int c = first_column + n * 8 + i;
        if (c < dim) out[c] = rows.sums[n][2 * r + i] * factor;
      }
    }
  }
}

template <typename S>
__global__ void __launch_bounds__(S::kThreads, 1)
    mma_kernel(const PagedAttention args, const AttentionPart part, const Partials partials) {
  // The longest rows come first: they are the last tiles of a prompt.
  const RowTile tile = row_tile(args, part, S::kRows, static_cast<int>(gridDim.x - 1 - blockIdx.x));
  if (tile.rows == 0) return;
  const int segment = static_cast<int>(blockIdx.z);
  const KeySpan keys = key_span(args, part, tile, segment);
  if (keys.begin >= keys.end) return;

  DYNAMIC_SHARED(memory);
  const int kv_head = static_cast<int>(blockIdx.y);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int warp_row = thread / kWarp / S::kColumnWarps * 16;
  const int column = thread / kWarp % S::kColumnWarps;
  const int row = warp_row + lane / 4;
  const int column_key = column * S::kScoreTiles * 8;
  const TileLoader<S> loader{.cache = args.cache,
                             .pages = args.block_table + static_cast<std::int64_t>(tile.request) * args.max_blocks,
                             .keys = keys,
                             .kv_head = kv_head,
                             .memory = memory,
                             .thread = thread};
  auto* maxima = reinterpret_cast<float*>(memory + S::kMaxima);
  unsigned char* weights = memory + S::kWeights;

  LaneRows<S> rows;
  UNROLL for (int r = 0; r < 2; ++r) {
    rows.last_key[r] = tile.position(row + 8 * r);
    rows.first_key[r] = first_visible_key(args.sliding_window, rows.last_key[r]);
  }
  // Keys that every row of the warp sees, and those that one of them sees.
  const int last_row = warp_row + 15 < tile.rows ? warp_row + 15 : tile.rows - 1;
  const bool idle = warp_row >= tile.rows;
  const int first_position = tile.position(warp_row);
  const int last_position = idle ? first_position : tile.position(last_row);
  const KeySpan some{first_visible_key(args.sliding_window, first_position), idle ? 0 : last_position + 1};
  const KeySpan all{first_visible_key(args.sliding_window, last_position), first_position + 1};

  int base = keys.begin / S::kKeys * S::kKeys;
  loader.locate(base, 0);
  loader.locate(base + S::kKeys, 1);
  load_q<S>(args, tile, kv_head, memory);
  __syncthreads();
  loader.copy(0);
  for (int stage = 0; base < keys.end; base += S::kKeys, stage ^= 1) {
    ptx::cp_async_wait<0>();
    __syncthreads();  // the tile is there, and the one before is done with
    if (base + S::kKeys < keys.end) loader.copy(stage ^ 1);
    loader.locate(base + 2 * S::kKeys, stage);
    if constexpr (S::kInt8) {
      loader.widen(stage);
      __syncthreads();
    }
    // With several columns all warps meet at the exchanges.
    if (S::kColumnWarps == 1 && (base >= some.end || base + S::kKeys <= some.begin)) continue;

    const unsigned char* key_tile = loader.key_tile(stage) + column_key * S::kKeyStride;
    const unsigned char* value_tile = loader.value_tile(stage) + column * S::kValueTiles * 16;
    const float* scales = loader.scales(stage) + column_key + lane % 4 * 2;
    const bool masked = base < all.begin || base + S::kKeys > all.end;
    float p[S::kScoreTiles][4] = {};
    multiply_keys<S>(memory + warp_row * S::kQStride, key_tile, lane, p);
    weigh<S>(args, rows, p, base + column_key + lane % 4 * 2, masked, scales, maxima, column, row, lane);
    share_weights<S>(p, weights, row, column_key + lane % 4 * 2);
    add_values<S>(p, weights + warp_row * S::kWeightStride, value_tile, lane, rows);
  }

  float weight[2] = {row_sum(rows.weight[0]), row_sum(rows.weight[1])};
  if constexpr (S::kColumnWarps > 1) {
    __syncthreads();  // the last tile's maxima are still read
    exchange<S>(maxima, column, row, lane, weight);
    UNROLL for (int r = 0; r < 2; ++r) {
      weight[r] = 0.0F;
      UNROLL for (int c = 0; c < S::kColumnWarps; ++c) weight[r] += maxima[c * S::kRows + row + 8 * r];
    }
  }
  store_rows<S>(args, part, partials, tile, rows, weight, segment, kv_head, column, row, lane);
}

template <typename S>
void attend(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  launch(mma_kernel<S>,
         {.grid = {tile_blocks(part, args.heads / args.cache.kv_heads, S::kRows),
                   static_cast<unsigned>(args.cache.kv_heads), static_cast<unsigned>(part.segments)},
          .block = {S::kThreads},
          .shared_bytes = S::kBytes,
          .stream = stream},
         args, part, partials);
}

/// The smallest shape that holds the heads. False: there is none.
template <typename T>
bool attend_by_mma(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  const int dim = args.cache.head_dim;
  const int value_dim = args.cache.value_dim;
  if (args.cache.value_offset == 0) {
    if (dim <= 192 || dim > 576 || value_dim > 512) return false;  // small ones: mostly padding
    if (part.split) {
      attend<MmaShape<T, 576, 512, true, 2, 4, 32, true>>(args, part, partials, stream);
    } else {
      attend<MmaShape<T, 576, 512, true, 2, 4, 32, false>>(args, part, partials, stream);
    }
    return true;
  }
  const int widest = dim > value_dim ? dim : value_dim;
  if (widest > 256) return false;
  if (part.split) {
    if (widest <= 64) {
      attend<MmaShape<T, 64, 64, false, 1, 4, 64, true>>(args, part, partials, stream);
    } else if (widest <= 128) {
      attend<MmaShape<T, 128, 128, false, 1, 4, 64, true>>(args, part, partials, stream);
    } else {
      attend<MmaShape<T, 256, 256, false, 1, 4, 32, true>>(args, part, partials, stream);
    }
    return true;
  }
  if (widest <= 64) {
    attend<MmaShape<T, 64, 64, false, 4, 1, 64, false>>(args, part, partials, stream);
  } else if (widest <= 128) {
    attend<MmaShape<T, 128, 128, false, 4, 1, 64, false>>(args, part, partials, stream);
  } else if (dim <= 192 && value_dim <= 128) {
    attend<MmaShape<T, 192, 128, false, 4, 1, 32, false>>(args, part, partials, stream);
  } else {
    attend<MmaShape<T, 256, 256, false, 4, 2, 32, false>>(args, part, partials, stream);
  }
  return true;
}

}  // namespace
}  // namespace krait::cuda
