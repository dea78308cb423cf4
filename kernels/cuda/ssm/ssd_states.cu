#include "kernels/cuda/sequences.cuh"
#include "kernels/cuda/ssm/split_slab.cuh"
#include "kernels/cuda/ssm/ssd.h"

namespace krait::cuda {
namespace {

constexpr int kThreads = 4 * kWarp;
constexpr int kTile = 64;  ///< rows and columns of a block; a warp has 16 rows
constexpr int kPassThreads = 256;

/// A block: a tile of the state (z), a chunk (y), a head (x).
__global__ void __launch_bounds__(kThreads) states_kernel(const Ssd args) {
  using Slab = SplitSlab<kTile>;
  SHARED_ARRAY(Slab, memory, 2);
  Slab& inputs = memory[0];
  Slab& keys = memory[1];
  SHARED_ARRAY(float, weight, kSsdChunk);
  const SsmInputs& in = args.in;
  const ScanChunk chunk = args.chunks[blockIdx.y];
  const auto head = static_cast<int>(blockIdx.x);
  const int group = head / (in.heads / in.groups);
  const int tiles = (in.state_size + kTile - 1) / kTile;
  const int first_row = static_cast<int>(blockIdx.z) / tiles * kTile;
  const int first_column = static_cast<int>(blockIdx.z) % tiles * kTile;
  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const std::int64_t chunk_head = static_cast<std::int64_t>(blockIdx.y) * in.heads + head;
  const float* dt = args.dt + chunk_head * kSsdChunk;
  const float* sum = args.sums + chunk_head * kSsdChunk;
  // Tokens past the chunk's end have dt 0, and the sum of its last.
  if (thread < kSsdChunk) weight[thread] = dt[thread] * expf(sum[kSsdChunk - 1] - sum[thread]);
  static_assert(kThreads >= kSsdChunk);
  const float* x = in.x.data + chunk.token * in.x.stride + head * in.head_dim;
  const float* b = in.b.data + chunk.token * in.b.stride + group * in.state_size;
  float sums[kTile / 8][4] = {};
  for (int token = 0; token < chunk.tokens; token += kSlab) {
    __syncthreads();
    stage_columns<kTile, kThreads>(inputs, [&](int row, int k) {
      const int t = token + k;
      const int p = first_row + row;
      return t < chunk.tokens && p < in.head_dim ? x[t * in.x.stride + p] * weight[t] : 0.0F;
    });
    stage_columns<kTile, kThreads>(keys, [&](int row, int k) {
      const int t = token + k;
      const int n = first_column + row;
      return t < chunk.tokens && n < in.state_size ? b[t * in.b.stride + n] : 0.0F;
    });
    __syncthreads();
    UNROLL for (int step = 0; step < kSlab / 16; ++step) {
      SplitRows rows;
      rows.load(inputs, lane, thread / kWarp * 16, step);
      UNROLL for (int i = 0; i < kTile / 8; ++i) split_product(sums[i], rows, keys, lane, i * 8, step);
    }
  }
  float* states = args.states + chunk_head * in.head_dim * in.state_size;
  UNROLL for (int i = 0; i < kTile / 8; ++i) {
    UNROLL for (int j = 0; j < 4; ++j) {
      const int p = first_row + thread / kWarp * 16 + sum_row(lane, j);
      const int n = first_column + i * 8 + sum_column(lane, j);
      if (p < in.head_dim && n < in.state_size) states[p * in.state_size + n] = sums[i][j];
    }
  }
}

/// A thread: an element of a head's state (x) of a sequence (y), through its chunks. What it reads of them does not
/// depend on what it sums, so the loads run ahead.
__global__ void __launch_bounds__(kPassThreads) pass_states_kernel(const Ssd args) {
  const SsmInputs& in = args.in;
  const int size = in.head_dim * in.state_size;
  const std::int64_t element = static_cast<std::int64_t>(blockIdx.x) * kPassThreads + threadIdx.x;
  const std::int64_t elements = static_cast<std::int64_t>(in.heads) * size;
  if (element >= elements) return;
  const auto head = static_cast<int>(element / size);
  const auto sequence = static_cast<int>(blockIdx.y);
  const int begin = args.first_chunk[sequence];
  const int end = args.first_chunk[sequence + 1];
  if (begin == end) return;
  const auto slot = [&](int index) { return reinterpret_cast<float*>(state_slot(in.state, index)) + element; };
  float state = 0.0F;
  if (args.sequences.has_initial_state[sequence] != 0) {
    state = *slot(args.sequences.state_read[sequence]);
  }
  constexpr int kAhead = 4;
  for (int first = begin; first < end; first += kAhead) {
    float added[kAhead];
    float decay[kAhead];
    int snapshot[kAhead];
    UNROLL for (int i = 0; i < kAhead; ++i) {
      const std::int64_t chunk = first + i;
      added[i] = 0.0F;
      decay[i] = 0.0F;
      snapshot[i] = 0;
      if (chunk >= end) continue;
      added[i] = args.states[chunk * elements + element];
      snapshot[i] = args.chunks[chunk].snapshot;
      decay[i] = expf(args.sums[(chunk * in.heads + head) * kSsdChunk + kSsdChunk - 1]);
    }
    UNROLL for (int i = 0; i < kAhead; ++i) {
      const std::int64_t chunk = first + i;
      if (chunk >= end) continue;
      args.states[chunk * elements + element] = state;
      state = state * decay[i] + added[i];
      if (snapshot[i] != 0) *slot(snapshot[i]) = state;
    }
  }
  *slot(args.sequences.state_write[sequence]) = state;
}

}  // namespace

void ssd_states(const Ssd& args, Stream stream) {
  launch(states_kernel,
         {.grid = {static_cast<unsigned>(args.in.heads), static_cast<unsigned>(args.chunk_count),
                   blocks_for(args.in.head_dim, kTile) * blocks_for(args.in.state_size, kTile)},
          .block = {kThreads},
          .stream = stream},
         args);
}

void ssd_pass_states(const Ssd& args, Stream stream) {
  const std::int64_t elements = std::int64_t{args.in.heads} * args.in.head_dim * args.in.state_size;
  launch(pass_states_kernel,
         {.grid = {blocks_for(elements, kPassThreads), static_cast<unsigned>(args.sequences.count)},
          .block = {kPassThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
