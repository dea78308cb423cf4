#include "kernels/cuda/sampling/draw.h"

#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarp;
constexpr int kBuckets = 2048;

using Mass = unsigned long long;

/// The weight in units of 2^-40. At most 1, so that a vocabulary of millions sums without overflow.
__device__ __forceinline__ Mass mass_of(float weight) { return static_cast<Mass>(weight * 1099511627776.0F); }

/// Weights are positive: their bits are in their order.
__device__ __forceinline__ std::uint32_t key_of(float weight) { return __float_as_uint(weight); }

/// The lightest weight that is kept, and how many of that weight.
struct Threshold {
  std::uint32_t key = 0;
  Mass ties = 0;
};

struct Shared {
  Mass* histogram;  ///< [kBuckets]
  Mass* sums;       ///< [kWarps]
  Mass* result;     ///< [2]
};

__device__ __forceinline__ Mass warp_sum(Mass value) {
  UNROLL for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}
/// The sum over the lanes up to this one.
__device__ __forceinline__ Mass warp_prefix(Mass value, int lane) {
  UNROLL for (int distance = 1; distance < kWarp; distance *= 2) {
    const Mass below = __shfl_up_sync(kAllLanes, value, static_cast<unsigned>(distance));
    if (lane >= distance) value += below;
  }
  return value;
}

/// What the block's threads hold, for every warp the sum over the warps before it; the total in `total`.
__device__ __forceinline__ Mass warps_before(Mass of_warp, const Shared& shared, Mass& total) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  __syncthreads();
  if (lane == 0) shared.sums[warp] = of_warp;
  __syncthreads();
  Mass before = 0;
  total = 0;
  for (int i = 0; i < kWarps; ++i) {
    if (i < warp) before += shared.sums[i];
    total += shared.sums[i];
  }
  return before;
}

/// Which of `kBuckets` buckets, from the last down, holds unit number `wanted` (from 1): shared.result becomes the
/// bucket and the units in the buckets above it. All threads call it.
__device__ __forceinline__ void find_bucket(Mass wanted, const Shared& shared) {
  constexpr int kLane = kBuckets / kWarp;
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (thread < kWarp) {
    // Lane 0 has the last buckets.
    const int last = kBuckets - 1 - thread * kLane;
    Mass own = 0;
    for (int i = 0; i < kLane; ++i) own += shared.histogram[last - i];
    Mass above = warp_prefix(own, thread) - own;
    if (above < wanted && wanted <= above + own) {
      int bucket = last;
      while (above + shared.histogram[bucket] < wanted) above += shared.histogram[bucket--];
      shared.result[0] = static_cast<Mass>(bucket);
      shared.result[1] = above;
    }
  }
  __syncthreads();
}

/// The threshold that keeps the heaviest weights up to unit number `wanted`; a unit is a token, or 2^-40 of weight with
/// `by_mass`. There are that many units.
__device__ __forceinline__ Threshold select_heaviest(const float* weights, int vocab, Mass wanted, bool by_mass,
                                                     const Shared& shared) {
  constexpr int kShifts[] = {21, 10, 0};
  constexpr std::uint32_t kMasks[] = {0x7ffU, 0x7ffU, 0x3ffU};
  const int thread = static_cast<int>(threadIdx.x);
  std::uint32_t prefix = 0;
  std::uint32_t known = 0;
  UNROLL for (int level = 0; level < 3; ++level) {
    __syncthreads();
    for (int i = thread; i < kBuckets; i += kThreads) shared.histogram[i] = 0;
    __syncthreads();
    for (int i = thread; i < vocab; i += kThreads) {
      const float weight = weights[i];
      const std::uint32_t key = key_of(weight);
      if (weight > 0.0F && (key & known) == prefix) {
        atomicAdd(shared.histogram + (key >> kShifts[level] & kMasks[level]), by_mass ? mass_of(weight) : Mass{1});
      }
    }
    find_bucket(wanted, shared);
    prefix |= static_cast<std::uint32_t>(shared.result[0]) << kShifts[level];
    known |= kMasks[level] << kShifts[level];
    wanted -= shared.result[1];
  }
  const Mass unit = by_mass ? mass_of(__uint_as_float(prefix)) : Mass{1};
  return {prefix, (wanted + unit - 1) / unit};
}

/// A run of neighbouring tokens for each warp; lanes take neighbours.
struct Run {
  int begin = 0;
  int end = 0;
};
__device__ __forceinline__ Run run_of_warp(int vocab) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int length = (vocab + kThreads - 1) / kThreads * kWarp;
  const int begin = warp * length;
  return {begin < vocab ? begin : vocab, begin + length < vocab ? begin + length : vocab};
}

/// Walks the run of the warp and calls fn(token, mass) for every token in order, in all lanes together (mass 0: not
/// kept). `ties_before`: tokens of the threshold's weight in the runs before.
template <typename Fn>
__device__ __forceinline__ void for_kept(const float* weights, const Run& run, const Threshold& threshold,
                                         Mass ties_before, Fn fn) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int first = run.begin; first < run.end; first += kWarp) {
    const int i = first + lane;
    const float weight = i < run.end ? weights[i] : 0.0F;
    const std::uint32_t key = key_of(weight);
    const bool tie = weight > 0.0F && key == threshold.key;
    const std::uint32_t ties = __ballot_sync(kAllLanes, tie ? 1 : 0);
    const Mass rank = ties_before + static_cast<Mass>(__popc(ties & ((1U << lane) - 1U)));
    const bool kept = weight > 0.0F && (key > threshold.key || (tie && rank < threshold.ties));
    ties_before += static_cast<Mass>(__popc(ties));
    fn(i, kept ? mass_of(weight) : Mass{0});
  }
}

/// The sum of what is kept; ties_before and mass_before are those of the runs before this warp's.
__device__ __forceinline__ Mass kept_mass(const float* weights, const Run& run, const Threshold& threshold,
                                          const Shared& shared, Mass& ties_before, Mass& mass_before) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  Mass ties = 0;
  for (int i = run.begin + lane; i < run.end; i += kWarp) {
    if (weights[i] > 0.0F && key_of(weights[i]) == threshold.key) ++ties;
  }
  Mass total = 0;
  ties_before = warps_before(warp_sum(ties), shared, total);
  Mass own = 0;
  for_kept(weights, run, threshold, ties_before, [&](int, Mass mass) { own += mass; });
  mass_before = warps_before(warp_sum(own), shared, total);
  return total;
}

__global__ void __launch_bounds__(kThreads, 1) draw_kernel(const DrawTokens args) {
  SHARED_ARRAY(Mass, histogram, kBuckets);
  SHARED_ARRAY(Mass, sums, kWarps);
  SHARED_ARRAY(Mass, result, 2);
  SHARED_ARRAY(float, bests, kWarps);
  SHARED_ARRAY(int, first_best, 1);
  const Shared shared{histogram, sums, result};
  const int thread = static_cast<int>(threadIdx.x);
  const DrawRow row = args.rows[blockIdx.x];
  float* logits = args.logits.data + blockIdx.x * args.logits.stride;
  std::int32_t* token = args.tokens + blockIdx.x;

  float best = -INFINITY;
  int bad = 0;
  for (int i = thread; i < args.vocab; i += kThreads) {
    float x = logits[i];
    if (x != x || x == INFINITY) bad = 1;
    if (row.allowed != nullptr) {
      const int word = i / 32;
      if (word >= row.allowed_words || (row.allowed[word] >> (i % 32) & 1U) == 0U) logits[i] = x = -INFINITY;
    }
    best = fmaxf(best, x);
  }
  best = warp_max(best);
  if (__any_sync(kAllLanes, bad) != 0) best = INFINITY;
  if (thread == 0) first_best[0] = args.vocab;
  if (thread % kWarp == 0) bests[thread / kWarp] = best;
  __syncthreads();
  for (int i = 0; i < kWarps; ++i) best = fmaxf(best, bests[i]);
  if (best == INFINITY || best == -INFINITY) {
    if (thread == 0) *token = -1;
    return;
  }
  if (row.temperature == 0.0F) {
    for (int i = thread; i < args.vocab; i += kThreads) {
      if (logits[i] == best) {
        atomicMin(first_best, i);
        break;
      }
    }
    __syncthreads();
    if (thread == 0) *token = first_best[0];
    return;
  }

  // From here on the row holds weights; 0: not a candidate. The best one's is 1, so min-p is a plain threshold.
  const float scale = 1.0F / row.temperature;
  Mass candidates = 0;
  for (int i = thread; i < args.vocab; i += kThreads) {
    float weight = expf((logits[i] - best) * scale);
    if (weight < row.min_p || mass_of(weight) == 0) weight = 0.0F;
    logits[i] = weight;
    if (weight > 0.0F) ++candidates;
  }
  Mass total_candidates = 0;
  warps_before(warp_sum(candidates), shared, total_candidates);
  Threshold threshold;
  if (row.top_k > 0 && static_cast<Mass>(row.top_k) < total_candidates) {
    threshold = select_heaviest(logits, args.vocab, static_cast<Mass>(row.top_k), false, shared);
  }
  const Run run = run_of_warp(args.vocab);
  Mass ties_before = 0;
  Mass mass_before = 0;
  Mass total = kept_mass(logits, run, threshold, shared, ties_before, mass_before);
  if (row.top_p < 1.0F) {
    const Mass wanted = static_cast<Mass>(static_cast<double>(row.top_p) * static_cast<double>(total));
    threshold = select_heaviest(logits, args.vocab, wanted > 0 ? wanted : Mass{1}, true, shared);
    total = kept_mass(logits, run, threshold, shared, ties_before, mass_before);
  }
  Mass target = static_cast<Mass>(row.uniform * static_cast<double>(total));
  if (target >= total) target = total - 1;
  const int lane = thread % kWarp;
  Mass before = mass_before;
  for_kept(logits, run, threshold, ties_before, [&](int i, Mass mass) {
    const Mass upto = before + warp_prefix(mass, lane);
    if (upto - mass <= target && target < upto) *token = i;
    before = __shfl_sync(kAllLanes, upto, kWarp - 1);
  });
}

}  // namespace

void draw_tokens(const DrawTokens& args, Stream stream) {
  if (args.count == 0) return;
  launch(draw_kernel, {.grid = {static_cast<unsigned>(args.count)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
