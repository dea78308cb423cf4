#include "kernels/cuda/sampling/feed_tokens.h"

#include "kernels/cuda/port.cuh"

namespace krait::cuda {
namespace {

constexpr unsigned kThreads = 128;

__global__ void __launch_bounds__(kThreads) feed_kernel(const FeedTokens args) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= args.count || args.rows[i] < 0) return;
  const std::int32_t token = args.tokens[args.rows[i]];
  args.ids[i] = token < 0 ? 0 : token;
}

}  // namespace

void feed_tokens(const FeedTokens& args, Stream stream) {
  if (args.count == 0) return;
  launch(feed_kernel, {.grid = {blocks_for(args.count, kThreads)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
