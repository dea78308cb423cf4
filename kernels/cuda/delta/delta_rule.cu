#include "kernels/cuda/delta/delta_rule.h"

#include "kernels/cuda/delta/delta_decay.cuh"
#include "kernels/cuda/delta/matrix_scan.cuh"

namespace krait::cuda {
namespace {

/// Decays of one token and head, in the lane's columns.
template <int kGroups>
__device__ __forceinline__ void load_decays(const DeltaRule& args, int head, int token,
                                            float (&decays)[kVector * kGroups]) {
  const float a = args.a[head];
  const float* raw = args.decay.data + token * args.decay.stride;
  if (!args.decay_per_channel) {
    const float u = raw[head] + (args.decay_bias == nullptr ? 0.0F : args.decay_bias[head]);
    const float decay = expf(log_decay(args.decay_kind, a, args.lower_bound, u));
    UNROLL for (float& value : decays) value = decay;
    return;
  }
  const int keys = args.scan.key_dim;
  const float* bias = args.decay_bias == nullptr ? nullptr : args.decay_bias + head * keys;
  UNROLL for (int group = 0; group < kGroups; ++group) {
    UNROLL for (int i = 0; i < kVector; ++i) {
      const int column = group * kGroupColumns + static_cast<int>(threadIdx.x) % kWarp * kVector + i;
      float decay = 0.0F;
      if (column < keys) {
        const float u = raw[head * keys + column] + (bias == nullptr ? 0.0F : bias[column]);
        decay = expf(log_decay(args.decay_kind, a, args.lower_bound, u));
      }
      decays[group * kVector + i] = decay;
    }
  }
}

template <typename T, int kGroups>
__device__ __forceinline__ void delta_step(const DeltaRule& args, StateRows<T, kGroups>& rows, int token) {
  constexpr int kRows = StateRows<T, kGroups>::kRows;
  constexpr int kColumns = StateRows<T, kGroups>::kColumns;
  constexpr int kLanes = kWarp / (2 * kRows);  // that hold one sum
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int key_head = rows.head / (args.scan.heads / args.key_heads);
  const RowShape shape{.columns = args.scan.key_dim, .aligned = args.keys_aligned};
  float q[kColumns];
  float k[kColumns];
  float decays[kColumns];
  load_row<kGroups>(args.q.data + token * args.q.stride + key_head * args.scan.key_dim, shape, q);
  load_row<kGroups>(args.k.data + token * args.k.stride + key_head * args.scan.key_dim, shape, k);
  load_decays<kGroups>(args, rows.head, token, decays);
  // Lane l works on row l / kLanes: the lower half of the warp holds the sums with k, the upper one those with q.
  const int row = lane % (kWarp / 2) / kLanes;
  const std::int64_t column = std::int64_t{rows.head} * args.scan.value_dim + rows.row + row;
  const float v = row < rows.count ? args.v.data[token * args.v.stride + column] : 0.0F;
  const float beta = args.beta_scale * sigmoid(args.beta.data[token * args.beta.stride + rows.head]);

  // Keys and queries are normed after the sums, so that all sums go through the warp at once.
  float sums[2 * kRows];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kColumns; ++i) rows.values[r][i] *= decays[i];
    sums[r] = dot(rows.values[r], k);
    sums[kRows + r] = dot(rows.values[r], q);
  }
  float norms[4] = {dot(q, q), dot(k, k), dot(k, q), 0.0F};
  const float norm = warp_sums(norms);
  const float sum = warp_sums(sums);
  const float q_factor = args.q_scale / sqrtf(__shfl_sync(kAllLanes, norm, 0) + args.qk_norm_eps);
  const float k_factor = 1.0F / sqrtf(__shfl_sync(kAllLanes, norm, kWarp / 4) + args.qk_norm_eps);
  const float key_query = __shfl_sync(kAllLanes, norm, kWarp / 2);

  const float with_key = __shfl_sync(kAllLanes, sum, lane % (kWarp / 2));
  const float update = beta * (v - with_key * k_factor) * k_factor;  // of the raw key
  if (lane >= kWarp / 2 && lane % kLanes == 0 && row < rows.count) {
    args.out.data[token * args.out.stride + column] = (sum + update * key_query) * q_factor;
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    const float of_row = __shfl_sync(kAllLanes, update, r * kLanes);
    UNROLL for (int i = 0; i < kColumns; ++i) rows.values[r][i] += of_row * k[i];
  }
  rows.round();
}

template <typename T, int kGroups>
__global__ void __launch_bounds__(kScanWarps* kWarp) delta_rule_kernel(const DeltaRule args) {
  scan_rows<T, kGroups>(args.scan,
                        [&](StateRows<T, kGroups>& rows, int token) { delta_step<T, kGroups>(args, rows, token); });
}

}  // namespace

void delta_rule_scan(const DeltaRule& args, Stream stream) {
  with_state(args.scan, [&]<typename T, int kGroups>() {
    launch(delta_rule_kernel<T, kGroups>, scan_launch<T, kGroups>(args.scan, stream), args);
  });
}

}  // namespace krait::cuda
