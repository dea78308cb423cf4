#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/ssm/ssd.h"
#include "kernels/cuda/ssm/ssm_inputs.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kLaneTokens = kSsdChunk / kWarp;

/// A warp: a head and chunk (y). Tokens past the chunk's end have dt 0.
__global__ void __launch_bounds__(kThreads) prepare_kernel(const Ssd args) {
  const SsmInputs& in = args.in;
  const int head = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (head >= in.heads) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const ScanChunk chunk = args.chunks[blockIdx.y];
  float dt[kLaneTokens];
  float sums[kLaneTokens];
  float sum = 0.0F;
  const float a = in.a[head * in.a_stride_head];
  UNROLL for (int i = 0; i < kLaneTokens; ++i) {
    const int t = lane * kLaneTokens + i;
    dt[i] = t < chunk.tokens ? discrete_dt(in, chunk.token + t, head) : 0.0F;
    sum += dt[i] * a;
    sums[i] = sum;
  }
  float before = sum;  // of this lane and those below, then of those below
  UNROLL for (int distance = 1; distance < kWarp; distance *= 2) {
    const float other = __shfl_up_sync(kAllLanes, before, distance);
    if (lane >= distance) before += other;
  }
  before = __shfl_up_sync(kAllLanes, before, 1);
  if (lane == 0) before = 0.0F;
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.y) * in.heads + head) * kSsdChunk + lane * kLaneTokens;
  UNROLL for (int i = 0; i < kLaneTokens; ++i) {
    args.dt[first + i] = dt[i];
    args.sums[first + i] = before + sums[i];
  }
}

std::size_t align(std::size_t floats) { return (floats + 63) / 64 * 64; }

struct Sizes {
  std::size_t dt, scores, states;
};
Sizes sizes_of(const Ssd& args) {
  const auto chunks = static_cast<std::size_t>(args.chunk_count);
  const auto heads = static_cast<std::size_t>(args.in.heads);
  const auto groups = static_cast<std::size_t>(args.in.groups);
  const auto state = static_cast<std::size_t>(args.in.head_dim) * static_cast<std::size_t>(args.in.state_size);
  return {align(chunks * heads * kSsdChunk), align(chunks * groups * kSsdChunk * kSsdChunk),
          align(chunks * heads * state)};
}

}  // namespace

std::size_t ssd_scratch(const Ssd& args) {
  const Sizes sizes = sizes_of(args);
  return 2 * sizes.dt + sizes.scores + sizes.states;
}

void ssd_scan(Ssd args, float* scratch, Stream stream) {
  const Sizes sizes = sizes_of(args);
  args.dt = scratch;
  args.sums = args.dt + sizes.dt;
  args.scores = args.sums + sizes.dt;
  args.states = args.scores + sizes.scores;
  ssd_prepare(args, stream);
  ssd_scores(args, stream);
  ssd_states(args, stream);
  ssd_pass_states(args, stream);
  ssd_output(args, stream);
}

void ssd_prepare(const Ssd& args, Stream stream) {
  launch(prepare_kernel,
         {.grid = {blocks_for(args.in.heads, kWarps), static_cast<unsigned>(args.chunk_count)},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
