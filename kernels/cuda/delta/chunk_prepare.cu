#include "kernels/cuda/delta/chunk_prepare.cuh"

#include "kernels/cuda/delta/delta_chunks.h"

namespace krait::cuda {
namespace {

/// Where the scan's block, warp and lane look for U[token][value], in floats from the first piece of U.
__device__ __forceinline__ int place_in_u(int token, int value) {
  const int tile = value / 16 * kTokenTiles + token / 8;
  const int lane = value % 8 * 4 + token % 8 / 2;
  return (tile * kWarp + lane) * 4 + value % 16 / 8 * 2 + token % 2;
}

template <int kKeyTiles, bool kPerChannel>
__global__ void __launch_bounds__(kPrepareThreads)
    prepare_chunks_kernel(const DeltaRule args, const DeltaChunks chunks) {
  using Chunk = PreparedChunk<kKeyTiles, kPerChannel>;
  using Layout = ChunkLayout<kKeyTiles>;
  DYNAMIC_SHARED(shared);
  Chunk& chunk = *reinterpret_cast<Chunk*>(shared);
  const int index = chunks.begin + static_cast<int>(blockIdx.x);
  ChunkPlace place;
  place.head = static_cast<int>(blockIdx.y);
  place.key_head = place.head / (args.scan.heads / args.key_heads);
  place.token = chunks.chunks[index].token;
  place.tokens = chunks.chunks[index].tokens;
  uint4* const pieces = chunk_piece<kKeyTiles>(args, chunks, index, place.head, 0);
  const auto piece = [&](int number) { return pieces + number * kPieceWords; };

  load_keys(args, place, chunk);
  load_gates<kPerChannel>(args, place, chunk);
  __syncthreads();
  sum_decays<kPerChannel>(chunk);
  __syncthreads();
  products<kKeyTiles, kPerChannel>(chunk);
  if constexpr (kPerChannel) products_on_diagonal(chunk);
  constexpr int kLast = kChunkTokens - 1;
  UNROLL for (int part = 0; part < Layout::kKeyPieces; ++part) {
    store_piece(piece(Layout::kQ + 2 * part), [&](int token, int in_part) {
      const int key = 64 * part + in_part;
      return chunk.q[token * Chunk::kStride + key] * ptx::exp2_fast(chunk.decay_sum(token, key));
    });
    store_piece(piece(Layout::kK + part), [&](int in_part, int token) {
      const int key = 64 * part + in_part;
      return chunk.k[token * Chunk::kStride + key] *
             ptx::exp2_fast(chunk.decay_sum(kLast, key) - chunk.decay_sum(token, key));
    });
  }
  __syncthreads();
  store_piece(piece(Layout::kP),
              [&](int i, int j) { return j / 16 <= i / 16 ? chunk.p[i * Chunk::kTokenStride + j] : 0.0F; });

  const int thread = static_cast<int>(threadIdx.x);
  for (int column = thread; column < Chunk::kKeys + args.scan.value_dim; column += kPrepareThreads) {
    const int value = column - Chunk::kKeys;
    const float* v = args.v.data + place.token * args.v.stride + std::int64_t{place.head} * args.scan.value_dim + value;
    float x[kChunkTokens];
    UNROLL for (int t = 0; t < kChunkTokens; ++t) {
      if (value < 0) {
        x[t] = chunk.beta[t] * ptx::exp2_fast(chunk.decay_sum(t, column)) * chunk.k[t * Chunk::kStride + column];
      } else {
        x[t] = t < place.tokens ? chunk.beta[t] * v[t * args.v.stride] : 0.0F;
      }
    }
    solve(chunk, x);
    auto* u = reinterpret_cast<float*>(piece(Layout::kU));
    UNROLL for (int t = 0; t < kChunkTokens; ++t) {
      if (value < 0) {
        chunk.k[t * Chunk::kStride + column] = x[t];
      } else {
        u[place_in_u(t, value)] = x[t];
      }
    }
  }
  __syncthreads();
  UNROLL for (int part = 0; part < Layout::kKeyPieces; ++part) {
    store_piece(piece(Layout::kW + 2 * part),
                [&](int token, int key) { return -chunk.k[token * Chunk::kStride + 64 * part + key]; });
  }
  // After P's zeros are written there.
  auto* decays = reinterpret_cast<float*>(piece(Layout::kP) + kDecaysInP);
  if (thread < Chunk::kKeys) decays[thread] = ptx::exp2_fast(chunk.decay_sum(kLast, thread));
}

template <int kKeyTiles, bool kPerChannel>
void launch_prepare(const DeltaRule& args, const DeltaChunks& chunks, Stream stream) {
  launch(prepare_chunks_kernel<kKeyTiles, kPerChannel>,
         {.grid = {static_cast<unsigned>(chunks.end - chunks.begin), static_cast<unsigned>(args.scan.heads)},
          .block = {kPrepareThreads},
          .shared_bytes = sizeof(PreparedChunk<kKeyTiles, kPerChannel>),
          .stream = stream},
         args, chunks);
}

}  // namespace

void prepare_delta_chunks(const DeltaRule& args, const DeltaChunks& chunks, Stream stream) {
  if (args.scan.key_dim <= 64) {
    args.decay_per_channel ? launch_prepare<4, true>(args, chunks, stream)
                           : launch_prepare<4, false>(args, chunks, stream);
  } else {
    args.decay_per_channel ? launch_prepare<8, true>(args, chunks, stream)
                           : launch_prepare<8, false>(args, chunks, stream);
  }
}

}  // namespace krait::cuda
