#include "kernels/cuda/ssm/split_slab.cuh"
#include "kernels/cuda/ssm/ssd.h"

namespace krait::cuda {
namespace {

constexpr int kThreads = 4 * kWarp;
constexpr int kTile = 64;  ///< rows and columns of a block; a warp has 16 rows
constexpr int kTiles = kSsdChunk / kTile;

/// A block: a tile of the lower triangle (z), a chunk (y), a group (x).
__global__ void __launch_bounds__(kThreads) scores_kernel(const Ssd args) {
  using Slab = SplitSlab<kTile>;
  SHARED_ARRAY(Slab, memory, 1);
  Slab& slab = memory[0];
  const SsmInputs& in = args.in;
  const ScanChunk chunk = args.chunks[blockIdx.y];
  const auto group = static_cast<int>(blockIdx.x);
  int tile_row = 0;
  auto tile_column = static_cast<int>(blockIdx.z);
  while (tile_column > tile_row) tile_column -= ++tile_row;
  if (tile_row * kTile >= chunk.tokens) return;
  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int first_row = tile_row * kTile + thread / kWarp * 16;
  const int first_column = tile_column * kTile;
  const float* b = in.b.data + chunk.token * in.b.stride + group * in.state_size;
  const float* c = in.c.data + chunk.token * in.c.stride + group * in.state_size;
  float sums[kTile / 8][4] = {};
  for (int n = 0; n < in.state_size; n += kSlab) {
    __syncthreads();
    stage_rows<kTile, kThreads>(slab, [&](int row, int k) {
      const int t = first_column + row;
      return t < chunk.tokens && n + k < in.state_size ? b[t * in.b.stride + n + k] : 0.0F;
    });
    __syncthreads();
    UNROLL for (int step = 0; step < kSlab / 16; ++step) {
      if (n + step * 16 >= in.state_size) break;
      SplitRows rows;
      rows.fill(lane, [&](int row, int k) {
        const int t = first_row + row;
        const int column = n + step * 16 + k;
        return t < chunk.tokens && column < in.state_size ? c[t * in.c.stride + column] : 0.0F;
      });
      UNROLL for (int i = 0; i < kTile / 8; ++i) split_product(sums[i], rows, slab, lane, i * 8, step);
    }
  }
  float* scores = args.scores + (static_cast<std::int64_t>(blockIdx.y) * in.groups + group) * kSsdChunk * kSsdChunk;
  UNROLL for (int i = 0; i < kTile / 8; ++i) {
    UNROLL for (int j = 0; j < 4; ++j) {
      const int row = first_row + sum_row(lane, j);
      scores[row * kSsdChunk + first_column + i * 8 + sum_column(lane, j)] = sums[i][j];
    }
  }
}

}  // namespace

void ssd_scores(const Ssd& args, Stream stream) {
  launch(scores_kernel,
         {.grid = {static_cast<unsigned>(args.in.groups), static_cast<unsigned>(args.chunk_count),
                   kTiles * (kTiles + 1) / 2},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
