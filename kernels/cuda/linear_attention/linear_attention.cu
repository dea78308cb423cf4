#include "kernels/cuda/linear_attention/linear_attention.h"

#include "kernels/cuda/delta/matrix_scan.cuh"

namespace krait::cuda {
namespace {

template <typename T, int kGroups>
__device__ __forceinline__ void linear_step(const LinearAttention& args, StateRows<T, kGroups>& rows, int token) {
  constexpr int kRows = StateRows<T, kGroups>::kRows;
  constexpr int kColumns = StateRows<T, kGroups>::kColumns;
  constexpr int kLanes = kWarp / kRows;  // that hold one sum
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const RowShape shape{.columns = args.scan.key_dim, .aligned = args.keys_aligned};
  float q[kColumns];
  float k[kColumns];
  load_row<kGroups>(args.q.data + token * args.q.stride + rows.head * args.scan.key_dim, shape, q);
  load_row<kGroups>(args.k.data + token * args.k.stride + rows.head * args.scan.key_dim, shape, k);
  const int row = lane / kLanes;
  const std::int64_t column = std::int64_t{rows.head} * args.scan.value_dim + rows.row + row;
  const float v = row < rows.count ? args.v.data[token * args.v.stride + column] : 0.0F;
  const float decay = args.decay[rows.head];

  float sums[kRows];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int i = 0; i < kColumns; ++i) rows.values[r][i] *= decay;
    sums[r] = dot(rows.values[r], q);
  }
  const float key_query = warp_sum(dot(k, q));
  const float sum = warp_sums(sums);
  if (lane % kLanes == 0 && row < rows.count) {
    args.out.data[token * args.out.stride + column] = sum + v * key_query;
  }
  UNROLL for (int r = 0; r < kRows; ++r) {
    const float of_row = __shfl_sync(kAllLanes, v, r * kLanes);
    UNROLL for (int i = 0; i < kColumns; ++i) rows.values[r][i] += of_row * k[i];
  }
  rows.round();
}

template <typename T, int kGroups>
__global__ void __launch_bounds__(kScanWarps* kWarp) linear_attention_kernel(const LinearAttention args) {
  scan_rows<T, kGroups>(args.scan,
                        [&](StateRows<T, kGroups>& rows, int token) { linear_step<T, kGroups>(args, rows, token); });
}

}  // namespace

void linear_attention_scan(const LinearAttention& args, Stream stream) {
  with_state(args.scan, [&]<typename T, int kGroups>() {
    launch(linear_attention_kernel<T, kGroups>, scan_launch<T, kGroups>(args.scan, stream), args);
  });
}

}  // namespace krait::cuda
