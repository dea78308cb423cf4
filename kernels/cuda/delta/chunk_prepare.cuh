#pragma once

#include "kernels/cuda/delta/chunk_layout.cuh"
#include "kernels/cuda/delta/delta_decay.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/split_products.cuh"

/// The parts of preparing one chunk of one head: a block works in its shared memory, with a barrier between the parts.
namespace krait::cuda {

constexpr int kPrepareThreads = 256;
constexpr int kPrepareWarps = kPrepareThreads / kWarp;

/// Float32 in shared memory. Rows lie so that the lanes of an operand's load meet different banks.
template <int kKeyTiles, bool kPerChannel>
struct PreparedChunk {
  static constexpr int kKeys = 16 * kKeyTiles;
  static constexpr int kStride = kKeys + 8;
  static constexpr int kTokenStride = kChunkTokens + 8;
  static constexpr int kSystemStride = kChunkTokens + 4;
  static constexpr int kDecayStride = kPerChannel ? kStride : 1;

  float k[kChunkTokens * kStride];  ///< normed; W in the end
  float q[kChunkTokens * kStride];  ///< normed and scaled
  float g[kChunkTokens * kDecayStride];
  float p[kChunkTokens * kTokenStride];        ///< by i; only 16 x 16 blocks on and below the diagonal are there
  float system[kChunkTokens * kSystemStride];  ///< A by columns: [j][i], as P
  float beta[kChunkTokens];

  /// Summed log decay, in powers of two.
  __device__ __forceinline__ float decay_sum(int token, int key) const {
    return kPerChannel ? g[token * kDecayStride + key] : g[token];
  }
};

/// Which chunk a block works on.
struct ChunkPlace {
  int head = 0;
  int key_head = 0;
  std::int64_t token = 0;  ///< its first one
  int tokens = 0;          ///< that are there; the others are zero, with beta 0 and no decay
};

template <typename Chunk>
__device__ __forceinline__ void load_keys(const DeltaRule& args, const ChunkPlace& place, Chunk& chunk) {
  constexpr int kPerLane = Chunk::kKeys / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int dim = args.scan.key_dim;
  for (int t = static_cast<int>(threadIdx.x) / kWarp; t < kChunkTokens; t += kPrepareWarps) {
    const bool there = t < place.tokens;
    const float* from_q = args.q.data + (place.token + t) * args.q.stride + place.key_head * dim;
    const float* from_k = args.k.data + (place.token + t) * args.k.stride + place.key_head * dim;
    float q[kPerLane];
    float k[kPerLane];
    float q_squares = 0.0F;
    float k_squares = 0.0F;
    UNROLL for (int i = 0; i < kPerLane; ++i) {
      const int c = i * kWarp + lane;
      q[i] = there && c < dim ? from_q[c] : 0.0F;
      k[i] = there && c < dim ? from_k[c] : 0.0F;
      q_squares += q[i] * q[i];
      k_squares += k[i] * k[i];
    }
    const float q_factor = there ? args.q_scale / sqrtf(warp_sum(q_squares) + args.qk_norm_eps) : 0.0F;
    const float k_factor = there ? 1.0F / sqrtf(warp_sum(k_squares) + args.qk_norm_eps) : 0.0F;
    UNROLL for (int i = 0; i < kPerLane; ++i) {
      chunk.q[t * Chunk::kStride + i * kWarp + lane] = q[i] * q_factor;
      chunk.k[t * Chunk::kStride + i * kWarp + lane] = k[i] * k_factor;
    }
  }
}

/// beta, and log decays that are not summed yet.
template <bool kPerChannel, typename Chunk>
__device__ __forceinline__ void load_gates(const DeltaRule& args, const ChunkPlace& place, Chunk& chunk) {
  constexpr float kLog2E = 1.4426950408889634F;
  const int dim = kPerChannel ? args.scan.key_dim : 1;
  const int width = kPerChannel ? Chunk::kKeys : 1;
  const float a = args.a[place.head];
  for (int i = static_cast<int>(threadIdx.x); i < kChunkTokens * width; i += kPrepareThreads) {
    const int t = i / width;
    const int c = i % width;
    float g = 0.0F;
    if (t < place.tokens && c < dim) {
      const float bias = args.decay_bias == nullptr ? 0.0F : args.decay_bias[place.head * dim + c];
      const float u = args.decay.data[(place.token + t) * args.decay.stride + place.head * dim + c] + bias;
      g = kLog2E * log_decay(args.decay_kind, a, args.lower_bound, u);
    }
    chunk.g[t * Chunk::kDecayStride + c] = g;
  }
  const int t = static_cast<int>(threadIdx.x);
  if (t < kChunkTokens) {
    const bool there = t < place.tokens;
    const float raw = there ? args.beta.data[(place.token + t) * args.beta.stride + place.head] : 0.0F;
    chunk.beta[t] = there ? args.beta_scale * sigmoid(raw) : 0.0F;
  }
}

template <bool kPerChannel, typename Chunk>
__device__ __forceinline__ void sum_decays(Chunk& chunk) {
  const int thread = static_cast<int>(threadIdx.x);
  if constexpr (kPerChannel) {
    if (thread >= Chunk::kKeys) return;
    float sum = 0.0F;
    UNROLL for (int t = 0; t < kChunkTokens; ++t) {
      sum += chunk.g[t * Chunk::kDecayStride + thread];
      chunk.g[t * Chunk::kDecayStride + thread] = sum;
    }
  } else {
    if (thread >= kWarp) return;
    const float first = chunk.g[2 * thread];
    const float both = first + chunk.g[2 * thread + 1];
    float sum = both;
    UNROLL for (int distance = 1; distance < kWarp; distance *= 2) {
      const float before = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(distance));
      if (thread >= distance) sum += before;
    }
    const float before = __shfl_up_sync(kAllLanes, sum, 1U);
    const float start = thread == 0 ? 0.0F : before;
    chunk.g[2 * thread] = start + first;
    chunk.g[2 * thread + 1] = start + both;
  }
}

template <typename Chunk>
__device__ __forceinline__ void store_product(Chunk& chunk, bool queries, int i, int j, float value) {
  if (queries) {
    chunk.p[i * Chunk::kTokenStride + j] = j <= i ? value : 0.0F;
  } else {
    chunk.system[j * Chunk::kSystemStride + i] = j < i ? chunk.beta[i] * value : 0.0F;
  }
}

/// A and P by 16 x 16 blocks: a warp takes the rows of one block, of the keys or of the queries. With a decay for each
/// channel the factors e^(g_i - g_j) go into the operands as e^(g_i - r) e^(r - g_j), r that of the block's first row:
/// both are at most 1, and what underflows is none of the result. That needs j < 16 I; `products_on_diagonal` does the
/// rest.
template <int kKeyTiles, bool kPerChannel, typename Chunk>
__device__ __forceinline__ void products(Chunk& chunk) {
  constexpr int kStride = Chunk::kStride;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const bool queries = warp / 4 == 1;
  const int block = warp % 4;
  const int row = 16 * block + lane / 4;
  const int tiles = kPerChannel ? 2 * block : 2 * block + 2;
  const float* rows = queries ? chunk.q : chunk.k;
  const auto left_value = [&](int i, int c) {
    const float value = rows[i * kStride + c];
    return kPerChannel ? value * ptx::exp2_fast(chunk.decay_sum(i, c) - chunk.decay_sum(16 * block, c)) : value;
  };
  const auto right_value = [&](int j, int c) {
    const float value = chunk.k[j * kStride + c];
    return kPerChannel ? value * ptx::exp2_fast(chunk.decay_sum(16 * block, c) - chunk.decay_sum(j, c)) : value;
  };
  float sums[kTokenTiles][4] = {};
  for (int tile = 0; tile < kKeyTiles; ++tile) {
    const int c = 16 * tile + lane % 4 * 2;
    const float first[4] = {left_value(row, c), left_value(row, c + 1), left_value(row + 8, c),
                            left_value(row + 8, c + 1)};
    const float second[4] = {left_value(row, c + 8), left_value(row, c + 9), left_value(row + 8, c + 8),
                             left_value(row + 8, c + 9)};
    const SplitLeft left = split_left(first, second);
    UNROLL for (int n = 0; n < kTokenTiles; n += 2) {
      if (n >= tiles) break;
      uint4 right[2];
      UNROLL for (int i = 0; i < 2; ++i) {
        const int j = 8 * (n + i) + lane / 4;
        right[i] = split_right(right_value(j, c), right_value(j, c + 1), right_value(j, c + 8), right_value(j, c + 9));
      }
      split_products(sums, n, left, right);
    }
  }
  UNROLL for (int n = 0; n < kTokenTiles; ++n) {
    if (n >= tiles) break;
    UNROLL for (int x = 0; x < 4; ++x) {
      const int i = row + x / 2 * 8;
      const int j = 8 * n + lane % 4 * 2 + x % 2;
      // Above the diagonal the exponent is not one: nothing of it may be used.
      const float decay =
          kPerChannel ? 1.0F : ptx::exp2_fast(j <= i ? chunk.decay_sum(i, 0) - chunk.decay_sum(j, 0) : 0.0F);
      store_product(chunk, queries, i, j, sums[n][x] * decay);
    }
  }
}

/// A decay for each channel: the 16 x 16 blocks on the diagonal, the difference of decays first.
template <typename Chunk>
__device__ __forceinline__ void products_on_diagonal(Chunk& chunk) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int block = 0; block < kChunkTokens / 16; ++block) {
    const int i = 16 * block + thread / 16;
    const int j = 16 * block + thread % 16;
    float with_key = 0.0F;
    float with_query = 0.0F;
    if (j <= i) {
      for (int c = 0; c < Chunk::kKeys; ++c) {
        const float decayed =
            chunk.k[j * Chunk::kStride + c] * ptx::exp2_fast(chunk.decay_sum(i, c) - chunk.decay_sum(j, c));
        with_key += chunk.k[i * Chunk::kStride + c] * decayed;
        with_query += chunk.q[i * Chunk::kStride + c] * decayed;
      }
    }
    store_product(chunk, false, i, j, with_key);
    store_product(chunk, true, i, j, with_query);
  }
}

/// x = (1 + A)^-1 x for one column in a thread's registers, by substitution: once x[j] is known, all rows below lose
/// their part of it, so that they do not wait for each other.
template <typename Chunk>
__device__ __forceinline__ void solve(const Chunk& chunk, float (&x)[kChunkTokens]) {
  UNROLL for (int j = 0; j < kChunkTokens - 1; ++j) {
    const auto* column = reinterpret_cast<const float4*>(chunk.system + j * Chunk::kSystemStride);
    UNROLL for (int i = (j + 1) / 4 * 4; i < kChunkTokens; i += 4) {
      const float4 a = column[i / 4];
      if (i > j) x[i] -= a.x * x[j];
      if (i + 1 > j) x[i + 1] -= a.y * x[j];
      if (i + 2 > j) x[i + 2] -= a.z * x[j];
      if (i + 3 > j) x[i + 3] -= a.w * x[j];
    }
  }
}

/// Writes a piece of right operands of 64 n and 64 k.
template <typename Value>
__device__ __forceinline__ void store_piece(uint4* piece, const Value& value) {
  for (int at = static_cast<int>(threadIdx.x); at < kPieceWords; at += kPrepareThreads) {
    const int lane = at % kWarp;
    const int n = at / kWarp % kTokenTiles * 8 + lane / 4;
    const int k = at / (kWarp * kTokenTiles) * 16 + lane % 4 * 2;
    piece[at] = split_right(value(n, k), value(n, k + 1), value(n, k + 8), value(n, k + 9));
  }
}

}  // namespace krait::cuda
