#include "kernels/cuda/attention/attention_tile.cuh"
#include "kernels/result.h"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kMostSegments = 65;

/// A block a (token, head).
__global__ void __launch_bounds__(kThreads)
    merge_kernel(const PagedAttention args, const AttentionPart part, const Partials partials) {
  SHARED_ARRAY(float, factors, kMostSegments);
  SHARED_ARRAY(float, weights, kMostSegments);
  const int row = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int token = part.first_token + row;
  const std::int32_t* starts = args.query_start_loc + part.first_request;
  const int i = last_where(part.requests, [&](int at) { return starts[at] <= token; });
  const int seq_len = args.seq_lens[part.first_request + i];
  const int first_position = seq_len - (starts[i + 1] - starts[i]);
  const int position = first_position + token - starts[i];
  const int length = segment_keys(seq_len);
  const int skipped = first_segment(args, first_position, seq_len);
  const int first = first_visible_key(args.sliding_window, position) / length - skipped;
  const int count = position / length - skipped - first + 1;
  const std::int64_t index = (static_cast<std::int64_t>(row) * args.heads + head) * part.segments + first;

  const int thread = static_cast<int>(threadIdx.x);
  float max = -INFINITY;
  for (int s = 0; s < count; ++s) max = fmaxf(max, partials.weights[2 * (index + s)]);
  if (args.sinks != nullptr) max = fmaxf(max, args.sinks[head]);
  if (thread < count) {
    factors[thread] = expf(partials.weights[2 * (index + thread)] - max);
    weights[thread] = partials.weights[2 * (index + thread) + 1];
  }
  __syncthreads();
  float weight = 0.0F;
  for (int s = 0; s < count; ++s) weight += weights[s] * factors[s];
  if (args.sinks != nullptr) weight += expf(args.sinks[head] - max);
  const int dim = args.cache.value_dim;
  float* out = args.out.data + token * args.out.stride + static_cast<std::int64_t>(head) * dim;
  for (int c = thread; c < dim; c += kThreads) {
    float sum = 0.0F;
    for (int s = 0; s < count; ++s) sum += partials.sums[(index + s) * dim + c] * factors[s];
    out[c] = sum / weight;
  }
}

}  // namespace

void merge_attention(const PagedAttention& args, const AttentionPart& part, const Partials& partials, Stream stream) {
  if (part.segments > kMostSegments) KRAIT_BUG("more segments than a merge takes");
  launch(merge_kernel,
         {.grid = {static_cast<unsigned>(part.tokens), static_cast<unsigned>(args.heads)},
          .block = {kThreads},
          .stream = stream},
         args, part, partials);
}

}  // namespace krait::cuda
