#pragma once

#include "kernels/cuda/attention/attention_tile.cuh"
#include "kernels/cuda/attention/mma_operand.cuh"
#include "kernels/cuda/attention/paged_kv.cuh"

/// Attention by tensor cores for caches of 16 bits, and of int8, whose integers are exact in bfloat16 and whose scales
/// multiply scores and weights. Tiles of keys stream through two stages of shared memory; the softmax is online (Dao,
/// FlashAttention-2, 2023). A block has kRowWarps x kColumnWarps warps: a warp computes the scores of 16 rows with the
/// keys of its column, and then the sums of its column of the values, for which the columns exchange their weights.
/// With one column the weights stay in registers (prefill); with several the loads of few rows are shared (decode).
/// kExact splits q and the weights in two 16-bit numbers each, which leaves an error of float32's size.
namespace krait::cuda {
namespace {

template <typename SourceType, int kDimension, int kValues, bool kValueIsKey, int kRowWarps_, int kColumnWarps_,
          int kKeys_, bool kExact_>
struct MmaShape {
  using Source = SourceType;  ///< what the cache keeps
  using Operand = typename MmaOperand<Source>::Type;
  static constexpr bool kInt8 = sizeof(Source) == 1;
  static constexpr int kDim = kDimension;  ///< head_dim rounded up: the rest zero
  static constexpr int kValueDim = kValues;
  static constexpr bool kLatent = kValueIsKey;
  static constexpr int kRowWarps = kRowWarps_;
  static constexpr int kColumnWarps = kColumnWarps_;
  static constexpr int kKeys = kKeys_;  ///< of a tile
  static constexpr bool kExact = kExact_;
  static constexpr int kRows = 16 * kRowWarps;
  static constexpr int kThreads = kRowWarps * kColumnWarps * kWarp;
  static constexpr int kScoreTiles = kKeys / 8 / kColumnWarps;      ///< of 8 keys, of a warp
  static constexpr int kValueTiles = kValueDim / 8 / kColumnWarps;  ///< of 8 columns, of a warp
  static_assert(kDim % 32 == 0 && kKeys % 32 == 0 && kScoreTiles * 8 * kColumnWarps == kKeys &&
                kValueTiles * 8 * kColumnWarps == kValueDim);

  // Shared memory in bytes. Rows are padded by 16 bytes: eight rows then lie in different banks.
  static constexpr int kQStride = (kDim + 8) * 2;
  static constexpr int kKeyStride = kQStride;
  static constexpr int kValueStride = kLatent ? kKeyStride : (kValueDim + 8) * 2;
  static constexpr int kWeightStride = (kKeys + 8) * 2;
  static constexpr int kHalves = kExact ? 2 : 1;
  static constexpr int kTileBytes = kKeys * (kKeyStride + (kLatent ? 0 : kValueStride));
  static constexpr int kRawBytes = kKeys * (kDim + (kLatent ? 0 : kValueDim));  ///< of a stage of int8
  static constexpr int kTiles = kHalves * kRows * kQStride;
  static constexpr int kRaw = kTiles + (kInt8 ? 1 : 2) * kTileBytes;
  static constexpr int kWeights = kRaw + (kInt8 ? 2 * kRawBytes : 0);
  static constexpr int kMaxima = kWeights + (kColumnWarps == 1 ? 0 : kHalves * kRows * kWeightStride);
  static constexpr int kPages = kMaxima + (kColumnWarps == 1 ? 0 : kColumnWarps * kRows * 4);
  static constexpr int kRowNumbers = kPages + 2 * kKeys * 8;
  static constexpr int kScales = kRowNumbers + 2 * kKeys * 4;
  static constexpr int kBytes = kScales + (kInt8 ? 2 * 2 * kKeys * 4 : 0);
};

/// Brings tiles of keys and values into shared memory.
template <typename S>
struct TileLoader {
  const PagedKv& cache;
  const std::int32_t* pages;
  KeySpan keys;
  int kv_head;
  unsigned char* memory;
  int thread;

  __device__ std::int64_t* page_offsets(int buffer) const {
    return reinterpret_cast<std::int64_t*>(memory + S::kPages) + buffer * S::kKeys;
  }
  __device__ int* row_numbers(int buffer) const {
    return reinterpret_cast<int*>(memory + S::kRowNumbers) + buffer * S::kKeys;
  }
  /// Scales of the keys, then of the values, of a buffer.
  __device__ float* scales(int buffer) const {
    return reinterpret_cast<float*>(memory + S::kScales) + buffer * 2 * S::kKeys;
  }
  __device__ unsigned char* key_tile(int stage) const {
    return memory + S::kTiles + (S::kInt8 ? 0 : stage) * S::kTileBytes;
  }
  __device__ unsigned char* value_tile(int stage) const {
    return key_tile(stage) + (S::kLatent ? 0 : S::kKeys * S::kKeyStride);
  }
  __device__ unsigned char* raw(int stage) const { return memory + S::kRaw + stage * S::kRawBytes; }

  /// Where the rows of the tile from key `base` on are; row number -1: not a key of the block.
  __device__ void locate(int base, int buffer) const {
    if (thread >= S::kKeys) return;
    const int position = base + thread;
    const bool present = position >= keys.begin && position < keys.end;
    const std::int64_t page = present ? pages[position / cache.block_size] : 0;
    page_offsets(buffer)[thread] = page * static_cast<std::int64_t>(cache.page_stride);
    row_numbers(buffer)[thread] = present ? kv_head * cache.block_size + position % cache.block_size : -1;
  }

  /// Begins to copy rows of `dim` elements (kWidth in shared memory, the rest and absent rows zero).
  template <int kWidth, int kStride>
  __device__ void copy_rows(int buffer, const std::byte* part, int dim, unsigned char* to) const {
    constexpr int kElements = 16 / static_cast<int>(sizeof(typename S::Source));
    constexpr int kChunks = kWidth / kElements;
    for (int i = thread; i < S::kKeys * kChunks; i += S::kThreads) {
      const int key = i / kChunks;
      const int element = i % kChunks * kElements;
      const int row = row_numbers(buffer)[key];
      const bool copied = row >= 0 && element < dim;
      const std::int64_t from = copied ? page_offsets(buffer)[key] + (static_cast<std::int64_t>(row) * dim + element) *
                                                                         static_cast<int>(sizeof(typename S::Source))
                                       : 0;
      ptx::cp_async16(to + key * kStride + i % kChunks * 16, part + from, copied);
    }
  }
  __device__ void copy(int stage) const {
    const std::byte* values = cache.base + cache.value_offset;
    if constexpr (S::kInt8) {
      copy_rows<S::kDim, S::kDim>(stage, cache.base, cache.head_dim, raw(stage));
      if constexpr (!S::kLatent) {
        copy_rows<S::kValueDim, S::kValueDim>(stage, values, cache.value_dim, raw(stage) + S::kKeys * S::kDim);
      }
      if (thread < S::kKeys) {
        const int row = row_numbers(stage)[thread];
        const std::int64_t page = page_offsets(stage)[thread];
        const auto scale = [&](const std::byte* part, int dim) {
          return row < 0 ? 0.0F : load_scale(row_scale(cache, {const_cast<std::byte*>(part) + page, row}, dim));
        };
        scales(stage)[thread] = scale(cache.base, cache.head_dim);
        scales(stage)[S::kKeys + thread] = S::kLatent ? scales(stage)[thread] : scale(values, cache.value_dim);
      }
    } else {
      copy_rows<S::kDim, S::kKeyStride>(stage, cache.base, cache.head_dim, key_tile(stage));
      if constexpr (!S::kLatent) {
        copy_rows<S::kValueDim, S::kValueStride>(stage, values, cache.value_dim, value_tile(stage));
      }
    }
    ptx::cp_async_commit();
  }

  /// int8 rows of a stage as bfloat16 in the tile.
  template <int kWidth, int kStride>
  __device__ void widen_rows(const unsigned char* from, unsigned char* to) const {
    constexpr int kChunks = kWidth / 16;
    for (int i = thread; i < S::kKeys * kChunks; i += S::kThreads) {
      const uint4 packed = *reinterpret_cast<const uint4*>(from + i * 16);
      const std::uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
      std::uint32_t wide[8];
      UNROLL for (int w = 0; w < 4; ++w) {
        const auto element = [&](int byte) {
          return static_cast<float>(static_cast<signed char>(words[w] >> (8 * byte) & 0xffU));
        };
        wide[2 * w] = ptx::pack_bfloat16(element(0), element(1));
        wide[2 * w + 1] = ptx::pack_bfloat16(element(2), element(3));
      }
      auto* out = reinterpret_cast<uint4*>(to + i / kChunks * kStride + i % kChunks * 32);
      out[0] = make_uint4(wide[0], wide[1], wide[2], wide[3]);
      out[1] = make_uint4(wide[4], wide[5], wide[6], wide[7]);
    }
  }
  __device__ void widen(int stage) const {
    widen_rows<S::kDim, S::kKeyStride>(raw(stage), key_tile(0));
    if constexpr (!S::kLatent) {
      widen_rows<S::kValueDim, S::kValueStride>(raw(stage) + S::kKeys * S::kDim, value_tile(0));
    }
  }
};

/// q of the tile's rows, rounded; with kExact what the rounding left follows.
template <typename S>
__device__ void load_q(const PagedAttention& args, const RowTile& tile, int kv_head, unsigned char* memory) {
  using Operand = MmaOperand<typename S::Source>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int row = static_cast<int>(threadIdx.x) / kWarp; row < S::kRows; row += S::kThreads / kWarp) {
    const bool present = row < tile.rows;
    const int head = kv_head * tile.group + tile.head(row);
    const float* from = present ? args.q.data + tile.token(row) * args.q.stride + head * args.cache.head_dim : nullptr;
    auto* to = reinterpret_cast<std::uint32_t*>(memory + row * S::kQStride);
    auto* rest = reinterpret_cast<std::uint32_t*>(memory + (S::kRows + row) * S::kQStride);
    for (int i = lane; i < S::kDim / 2; i += kWarp) {
      const bool inside = present && 2 * i < args.cache.head_dim;
      const float2 pair = inside ? make_float2(from[2 * i], from[2 * i + 1]) : make_float2(0.0F, 0.0F);
      to[i] = Operand::pack(pair.x, pair.y);
      if constexpr (S::kExact) rest[i] = Operand::pack_rest(pair.x, pair.y, to[i]);
    }
  }
}

/// What one lane keeps of a warp's 16 rows: rows g and g + 8 for lane 4g + t.
template <typename S>
struct LaneRows {
  float sums[S::kValueTiles][4] = {};  ///< columns 2t and 2t + 1 of each tile: of row g, of row g + 8
  float max[2] = {-INFINITY, -INFINITY};
  float weight[2] = {};  ///< of the lane's own keys
  int first_key[2];
  int last_key[2];
};

/// Scores of a warp: q (rows from `q` on) times the keys from `keys` on.
template <typename S>
__device__ __forceinline__ void multiply_keys(const unsigned char* q, const unsigned char* keys, int lane,
                                              float (&score)[S::kScoreTiles][4]) {
  using Operand = MmaOperand<typename S::Source>;
  const unsigned char* q_row = q + lane % 16 * S::kQStride + lane / 16 * 16;
  const unsigned char* key_row = keys + lane % 8 * S::kKeyStride + lane / 8 * 16;
  UNROLL for (int k = 0; k < S::kDim; k += 32) {
    std::uint32_t a[S::kHalves][2][4];
    UNROLL for (int half = 0; half < S::kHalves; ++half) {
      ptx::ldmatrix_x4(a[half][0], q_row + half * S::kRows * S::kQStride + k * 2);
      ptx::ldmatrix_x4(a[half][1], q_row + half * S::kRows * S::kQStride + k * 2 + 32);
    }
    UNROLL for (int n = 0; n < S::kScoreTiles; ++n) {
      std::uint32_t b[4];
      ptx::ldmatrix_x4(b, key_row + n * 8 * S::kKeyStride + k * 2);
      const std::uint32_t first[2] = {b[0], b[1]};
      const std::uint32_t second[2] = {b[2], b[3]};
      UNROLL for (int half = 0; half < S::kHalves; ++half) {
        Operand::multiply(score[n], a[half][0], first);
        Operand::multiply(score[n], a[half][1], second);
      }
    }
  }
}

/// Weights of 32 keys as the products' left operand: of the lane's own four tiles, or from shared memory.
template <typename S>
__device__ __forceinline__ void load_weights(const float (*p)[4], const unsigned char* shared, int lane,
                                             std::uint32_t (&a)[S::kHalves][2][4]) {
  using Operand = MmaOperand<typename S::Source>;
  if constexpr (S::kColumnWarps == 1) {
    UNROLL for (int step = 0; step < 2; ++step) {
      UNROLL for (int i = 0; i < 4; ++i) {
        const float* pair = &p[2 * step + i / 2][i % 2 * 2];
        a[0][step][i] = Operand::pack(pair[0], pair[1]);
        if constexpr (S::kExact) a[1][step][i] = Operand::pack_rest(pair[0], pair[1], a[0][step][i]);
      }
    }
  } else {
    const unsigned char* row = shared + lane % 16 * S::kWeightStride + lane / 16 * 16;
    UNROLL for (int half = 0; half < S::kHalves; ++half) {
      ptx::ldmatrix_x4(a[half][0], row + half * S::kRows * S::kWeightStride);
      ptx::ldmatrix_x4(a[half][1], row + half * S::kRows * S::kWeightStride + 32);
    }
  }
}

/// Adds weights times values (columns from `values` on) to the sums.
template <typename S>
__device__ __forceinline__ void add_values(const float (&p)[S::kScoreTiles][4], const unsigned char* weights,
                                           const unsigned char* values, int lane, LaneRows<S>& rows) {
  using Operand = MmaOperand<typename S::Source>;
  UNROLL for (int k = 0; k < S::kKeys; k += 32) {
    std::uint32_t a[S::kHalves][2][4];
    load_weights<S>(&p[S::kColumnWarps == 1 ? k / 8 : 0], weights + k * 2, lane, a);
    const unsigned char* row = values + (k + lane) * S::kValueStride;
    UNROLL for (int n = 0; n < S::kValueTiles; ++n) {
      std::uint32_t b[4];
      ptx::ldmatrix_x4_transposed(b, row + n * 16);
      const std::uint32_t first[2] = {b[0], b[1]};
      const std::uint32_t second[2] = {b[2], b[3]};
      UNROLL for (int half = 0; half < S::kHalves; ++half) {
        Operand::multiply(rows.sums[n], a[half][0], first);
        Operand::multiply(rows.sums[n], a[half][1], second);
      }
    }
  }
}

}  // namespace
}  // namespace krait::cuda
