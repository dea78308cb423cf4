#include "kernels/cuda/ssm/split_slab.cuh"
#include "kernels/cuda/ssm/ssd.h"

namespace krait::cuda {
namespace {

constexpr int kThreads = 4 * kWarp;
constexpr int kTile = 64;  ///< tokens of a block; a warp has 16
constexpr int kTiles = kSsdChunk / kTile;

/// A block: kTile tokens and kColumns of a head's columns (z), a chunk (y), a head (x).
template <int kColumns>
__global__ void __launch_bounds__(kThreads) output_kernel(const Ssd args) {
  using Slab = SplitSlab<kColumns>;
  SHARED_ARRAY(Slab, memory, 1);
  Slab& slab = memory[0];
  SHARED_ARRAY(float, dt, kSsdChunk);
  SHARED_ARRAY(float, decay, kSsdChunk);
  const SsmInputs& in = args.in;
  const ScanChunk chunk = args.chunks[blockIdx.y];
  const auto head = static_cast<int>(blockIdx.x);
  const int group = head / (in.heads / in.groups);
  const int first = static_cast<int>(blockIdx.z) % kTiles * kTile;
  const int column = static_cast<int>(blockIdx.z) / kTiles * kColumns;
  if (first >= chunk.tokens) return;
  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int row = first + thread / kWarp * 16;
  const std::int64_t chunk_head = static_cast<std::int64_t>(blockIdx.y) * in.heads + head;
  if (thread < kSsdChunk) {
    dt[thread] = args.dt[chunk_head * kSsdChunk + thread];
    decay[thread] = args.sums[chunk_head * kSsdChunk + thread];
  }
  static_assert(kThreads >= kSsdChunk);
  const float* c = in.c.data + chunk.token * in.c.stride + group * in.state_size;
  const float* x = in.x.data + chunk.token * in.x.stride + head * in.head_dim;
  const float* state = args.states + chunk_head * in.head_dim * in.state_size;
  const float* scores =
      args.scores + (static_cast<std::int64_t>(blockIdx.y) * in.groups + group) * kSsdChunk * kSsdChunk;

  // What came before the chunk: exp(a_i) C h.
  float sums[kColumns / 8][4] = {};
  for (int n = 0; n < in.state_size; n += kSlab) {
    __syncthreads();
    stage_rows<kColumns, kThreads>(slab, [&](int r, int k) {
      const int p = column + r;
      return p < in.head_dim && n + k < in.state_size ? state[p * in.state_size + n + k] : 0.0F;
    });
    __syncthreads();
    UNROLL for (int step = 0; step < kSlab / 16; ++step) {
      if (n + step * 16 >= in.state_size) break;
      SplitRows rows;
      rows.fill(lane, [&](int r, int k) {
        const int t = row + r;
        const int at = n + step * 16 + k;
        return t < chunk.tokens && at < in.state_size ? c[t * in.c.stride + at] : 0.0F;
      });
      UNROLL for (int i = 0; i < kColumns / 8; ++i) split_product(sums[i], rows, slab, lane, i * 8, step);
    }
  }
  UNROLL for (int j = 0; j < 4; ++j) {
    const float scale = expf(decay[row + sum_row(lane, j)]);
    UNROLL for (int i = 0; i < kColumns / 8; ++i) sums[i][j] *= scale;
  }

  // What came in it.
  for (int token = 0; token <= first; token += kSlab) {
    __syncthreads();
    stage_columns<kColumns, kThreads>(slab, [&](int r, int k) {
      const int t = token + k;
      const int p = column + r;
      return t < chunk.tokens && p < in.head_dim ? x[t * in.x.stride + p] : 0.0F;
    });
    __syncthreads();
    UNROLL for (int step = 0; step < kSlab / 16; ++step) {
      // Tokens after the warp's last.
      if (token + step * 16 >= row + 16) break;
      SplitRows rows;
      rows.fill(lane, [&](int r, int k) {
        const int i = row + r;
        const int j = token + step * 16 + k;
        return j <= i && i < chunk.tokens ? scores[i * kSsdChunk + j] * expf(decay[i] - decay[j]) * dt[j] : 0.0F;
      });
      UNROLL for (int i = 0; i < kColumns / 8; ++i) split_product(sums[i], rows, slab, lane, i * 8, step);
    }
  }
  static_assert(kSlab == kTile);

  const float skip = in.d == nullptr ? 0.0F : in.d[head * in.d_stride_head];
  float* y = in.y.data + chunk.token * in.y.stride + head * in.head_dim;
  UNROLL for (int i = 0; i < kColumns / 8; ++i) {
    UNROLL for (int j = 0; j < 4; ++j) {
      const int t = row + sum_row(lane, j);
      const int p = column + i * 8 + sum_column(lane, j);
      if (t < chunk.tokens && p < in.head_dim) y[t * in.y.stride + p] = sums[i][j] + skip * x[t * in.x.stride + p];
    }
  }
}

template <int kColumns>
void launch_output(const Ssd& args, Stream stream) {
  launch(output_kernel<kColumns>,
         {.grid = {static_cast<unsigned>(args.in.heads), static_cast<unsigned>(args.chunk_count),
                   kTiles * blocks_for(args.in.head_dim, kColumns)},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace

void ssd_output(const Ssd& args, Stream stream) {
  if (args.in.head_dim <= 32) return launch_output<32>(args, stream);
  if (args.in.head_dim <= 64) return launch_output<64>(args, stream);
  launch_output<128>(args, stream);
}

}  // namespace krait::cuda
