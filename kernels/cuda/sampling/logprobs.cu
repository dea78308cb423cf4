#include "kernels/cuda/sampling/logprobs.h"

#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;

/// A token and its logit, ordered by likelihood: the higher logit, then the lower id.
struct Entry {
  float logit = -INFINITY;
  int token = 0x7fffffff;
};
__device__ __forceinline__ bool likelier(const Entry& a, const Entry& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

/// The likeliest entry of the block, in every thread.
__device__ __forceinline__ Entry block_best(Entry entry, Entry* bests) {
  const int thread = static_cast<int>(threadIdx.x);
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const Entry other{__shfl_xor_sync(kAllLanes, entry.logit, distance),
                      __shfl_xor_sync(kAllLanes, entry.token, distance)};
    if (likelier(other, entry)) entry = other;
  }
  __syncthreads();
  if (thread % kWarp == 0) bests[thread / kWarp] = entry;
  __syncthreads();
  Entry best = bests[0];
  for (int i = 1; i < kWarps; ++i) {
    if (likelier(bests[i], best)) best = bests[i];
  }
  return best;
}

__device__ __forceinline__ double block_sum(double value, double* sums) {
  const int thread = static_cast<int>(threadIdx.x);
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  __syncthreads();
  if (thread % kWarp == 0) sums[thread / kWarp] = value;
  __syncthreads();
  double total = 0.0;
  for (int i = 0; i < kWarps; ++i) total += sums[i];
  return total;
}

__global__ void __launch_bounds__(kThreads) log_probs_kernel(const LogProbs args) {
  SHARED_ARRAY(Entry, bests, kWarps);
  SHARED_ARRAY(double, sums, kWarps);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t index = blockIdx.x;
  const std::int64_t row = args.source[index];
  const std::int32_t token = args.tokens[row];
  if (token < 0) return;
  const float* logits = args.logits.data + row * args.logits.stride;
  Entry best;
  for (int i = thread; i < args.vocab; i += kThreads) {
    const Entry entry{logits[i], i};
    if (likelier(entry, best)) best = entry;
  }
  best = block_best(best, bests);
  const float highest = best.logit;
  const float chosen = logits[token];
  double powers = 0.0;
  float above = 0.0F;
  for (int i = thread; i < args.vocab; i += kThreads) {
    powers += static_cast<double>(expf(logits[i] - highest));
    if (logits[i] > chosen) above += 1.0F;
  }
  const double log_sum = log(block_sum(powers, sums));
  const double rank = block_sum(static_cast<double>(above), sums);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - static_cast<double>(highest) - log_sum);
  };
  if (thread == 0) {
    args.logprobs[index] = logprob(chosen);
    args.ranks[index] = 1 + static_cast<std::int32_t>(rank);
  }
  const int wanted = args.wanted[index] < args.vocab ? args.wanted[index] : args.vocab;
  for (int n = 0; n < wanted; ++n) {
    if (thread == 0) {
      args.top_tokens[index * args.top + n] = best.token;
      args.top_logprobs[index * args.top + n] = logprob(best.logit);
    }
    Entry next;
    for (int i = thread; i < args.vocab; i += kThreads) {
      const Entry entry{logits[i], i};
      if (likelier(best, entry) && likelier(entry, next)) next = entry;
    }
    best = block_best(next, bests);
  }
}

}  // namespace

void log_probs(const LogProbs& args, Stream stream) {
  if (args.count == 0) return;
  launch(log_probs_kernel, {.grid = {static_cast<unsigned>(args.count)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
