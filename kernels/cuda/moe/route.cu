#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/moe/routing.h"
#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000U); }
/// The key of a class that cannot be chosen any more.
__device__ __forceinline__ float taken() { return __uint_as_float(0x7fc00000U); }

/// Softmax of n floats in shared memory; lane l has elements l, l + 32, …, here and in all of this file.
__device__ __forceinline__ void softmax(float* values, int n, int lane) {
  float largest = -infinity();
  for (int i = lane; i < n; i += kWarp) largest = fmaxf(largest, values[i]);
  largest = warp_max(largest);
  float sum = 0.0F;
  for (int i = lane; i < n; i += kWarp) {
    values[i] = expf(values[i] - largest);
    sum += values[i];
  }
  sum = warp_sum(sum);
  for (int i = lane; i < n; i += kWarp) values[i] /= sum;
}

/// The sum of the two best keys, or the only one.
__device__ __forceinline__ float group_score(const float* keys, int count) {
  float best = -infinity();
  float second = -infinity();
  for (int i = 0; i < count; ++i) {
    if (keys[i] > best) {
      second = best;
      best = keys[i];
    } else if (keys[i] > second) {
      second = keys[i];
    }
  }
  return count == 1 ? best : best + second;
}

/// Takes the classes of all but the best groups out of the choice.
__device__ __forceinline__ void keep_top_groups(const Route& args, float* keys, float* group_keys, int lane) {
  const int width = args.classes / args.groups;
  for (int g = lane; g < args.groups; g += kWarp) group_keys[g] = group_score(keys + g * width, width);
  __syncwarp();
  for (int g = lane; g < args.groups; g += kWarp) {
    // Groups that are better, or as good and earlier.
    int before = 0;
    for (int other = 0; other < args.groups; ++other) {
      before += group_keys[other] > group_keys[g] || (group_keys[other] == group_keys[g] && other < g) ? 1 : 0;
    }
    if (before < args.top_groups) continue;
    for (int i = g * width; i < (g + 1) * width; ++i) keys[i] = taken();
  }
  __syncwarp();
}

struct Candidate {
  float key = 0.0F;
  int index = -1;
};
__device__ __forceinline__ bool better(const Candidate& a, const Candidate& b) {
  if (a.index < 0 || b.index < 0) return b.index < 0 && a.index >= 0;
  return a.key > b.key || (a.key == b.key && a.index < b.index);
}

/// The best key that is not taken, in all lanes; takes it.
__device__ __forceinline__ int take_best(float* keys, int n, int lane) {
  Candidate best;
  for (int i = lane; i < n; i += kWarp) {
    const float key = keys[i];
    if (key == key && (best.index < 0 || key > best.key)) best = {key, i};
  }
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const Candidate other{__shfl_xor_sync(kAllLanes, best.key, distance),
                          __shfl_xor_sync(kAllLanes, best.index, distance)};
    if (better(other, best)) best = other;
  }
  if (best.index % kWarp == lane) keys[best.index] = taken();
  return best.index;
}

__global__ void __launch_bounds__(kWarp) route_kernel(const Route args) {
  DYNAMIC_SHARED(memory);
  float* scores = reinterpret_cast<float*>(memory);
  float* keys = scores + args.classes;
  float* group_keys = keys + args.classes;
  float* weights = group_keys + args.groups;
  const int lane = static_cast<int>(threadIdx.x);
  const std::int64_t token = blockIdx.x;
  const float* logits = args.logits.data + token * args.logits.stride;
  for (int i = lane; i < args.classes; i += kWarp) {
    scores[i] = args.scoring == RouterScoring::kSigmoid ? sigmoid(logits[i]) : logits[i];
  }
  if (args.scoring == RouterScoring::kSoftmaxThenTopK) softmax(scores, args.classes, lane);
  for (int i = lane; i < args.classes; i += kWarp) {
    const float key = args.selection_bias == nullptr ? scores[i] : scores[i] + args.selection_bias[i];
    keys[i] = key == key ? key : -infinity();  // a NaN is the worst score
  }
  __syncwarp();
  if (args.groups > 1) keep_top_groups(args, keys, group_keys, lane);

  std::int32_t* chosen = args.chosen + token * args.top_k;
  for (int rank = 0; rank < args.top_k; ++rank) {
    const int index = take_best(keys, args.classes, lane);
    if (rank % kWarp != lane) continue;
    chosen[rank] = index;
    weights[rank] = scores[index];
  }
  if (args.scoring == RouterScoring::kTopKThenSoftmax) {
    softmax(weights, args.top_k, lane);
  } else if (args.renormalize) {
    float sum = 0.0F;
    for (int i = lane; i < args.top_k; i += kWarp) sum += weights[i];
    sum = warp_sum(sum) + args.renormalize_eps;
    for (int i = lane; i < args.top_k; i += kWarp) weights[i] /= sum;
  }
  for (int i = lane; i < args.top_k; i += kWarp) {
    args.weights[token * args.top_k + i] = weights[i] * args.weight_scale;
  }
}

}  // namespace

void route(const Route& args, Stream stream) {
  if (args.tokens == 0) return;
  const auto floats = static_cast<std::size_t>(2 * args.classes + args.groups + args.top_k);
  launch(route_kernel,
         {.grid = {static_cast<unsigned>(args.tokens)},
          .block = {kWarp},
          .shared_bytes = floats * sizeof(float),
          .stream = stream},
         args);
}

}  // namespace krait::cuda
