#include "kernels/cuda/moe/routing.h"
#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

/// The sum of `value` over the threads before this one, and over all. All threads must call it.
template <int Warps>
__device__ __forceinline__ int exclusive_sum(int value, int& all) {
  SHARED_ARRAY(int, totals, Warps);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  int sum = value;
  UNROLL for (unsigned distance = 1; distance < kWarp; distance *= 2) {
    const int before = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane >= static_cast<int>(distance)) sum += before;
  }
  __syncthreads();  // the totals of a call before may still be read
  if (lane == kWarp - 1) totals[warp] = sum;
  __syncthreads();
  int before = 0;
  all = 0;
  for (int w = 0; w < Warps; ++w) {
    if (w == warp) before = all;
    all += totals[w];
  }
  return before + sum - value;
}

__global__ void __launch_bounds__(kThreads) sort_kernel(const SortByExpert args) {
  const int expert = static_cast<int>(blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x);
  const int assignments = args.tokens * args.top_k;
  int earlier = 0;
  int own = 0;
  for (int i = thread; i < assignments; i += kThreads) {
    const std::int32_t chosen = args.chosen[i];
    earlier += chosen < expert ? 1 : 0;
    own += chosen == expert ? 1 : 0;
    if (expert == 0 && chosen >= args.experts) args.row_of[i] = -1;
  }
  int next = 0;
  exclusive_sum<kWarps>(earlier, next);
  int count = 0;
  exclusive_sum<kWarps>(own, count);
  if (thread == 0) {
    args.start[expert] = next;
    if (expert == args.experts - 1) args.start[args.experts] = next + count;
  }
  if (count == 0) return;
  for (int base = 0; base < assignments; base += kThreads) {
    const int i = base + thread;
    const bool matches = i < assignments && args.chosen[i] == expert;
    int found = 0;
    const int row = next + exclusive_sum<kWarps>(matches ? 1 : 0, found);
    if (matches) {
      args.row_of[i] = row;
      args.token_of[row] = i / args.top_k;
    }
    next += found;
  }
}

constexpr int kPlanThreads = 512;

__global__ void __launch_bounds__(kPlanThreads) plan_kernel(const PlanTiles args) {
  int next = 0;
  for (int base = 0; base < args.experts; base += kPlanThreads) {
    const int expert = base + static_cast<int>(threadIdx.x);
    const int begin = expert < args.experts ? args.start[expert] : 0;
    const int rows = expert < args.experts ? args.start[expert + 1] - begin : 0;
    const int tiles = (rows + args.tile_rows - 1) / args.tile_rows;
    int all = 0;
    const int first = next + exclusive_sum<kPlanThreads / kWarp>(tiles, all);
    for (int i = 0; i < tiles; ++i) {
      const int left = rows - i * args.tile_rows;
      args.tiles[first + i] = {
          .expert = expert, .begin = begin + i * args.tile_rows, .rows = left < args.tile_rows ? left : args.tile_rows};
    }
    next += all;
  }
  if (threadIdx.x == 0) *args.count = next;
}

__global__ void __launch_bounds__(kThreads) combine_kernel(const CombineExperts args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= static_cast<std::int64_t>(args.tokens) * args.columns) return;
  const std::int64_t token = index / args.columns;
  const std::int64_t column = index % args.columns;
  float sum = 0.0F;
  for (int i = 0; i < args.top_k; ++i) {
    const std::int64_t row = args.row_of[token * args.top_k + i];
    if (row < 0) continue;
    sum = fmaf(args.weights[token * args.top_k + i], args.results.data[row * args.results.stride + column], sum);
  }
  float& out = args.out.data[token * args.out.stride + column];
  out = args.accumulate ? out + args.scale * sum : args.scale * sum;
}

}  // namespace

void sort_by_expert(const SortByExpert& args, Stream stream) {
  launch(sort_kernel, {.grid = {static_cast<unsigned>(args.experts)}, .block = {kThreads}, .stream = stream}, args);
}

void plan_tiles(const PlanTiles& args, Stream stream) {
  launch(plan_kernel, {.grid = {1}, .block = {kPlanThreads}, .stream = stream}, args);
}

void combine_experts(const CombineExperts& args, Stream stream) {
  const std::int64_t count = static_cast<std::int64_t>(args.tokens) * args.columns;
  if (count == 0) return;
  launch(combine_kernel, {.grid = {blocks_for(count, kThreads)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
