#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/linear/work.cuh"
#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

/// The lanes of a warp take octets in turn; a warp's two outputs (gate and up of one, where gated) share the loads of
/// the rows.
template <WeightForm Form>
__global__ void __launch_bounds__(kThreads) float_product_kernel(const Product args) {
  const WeightShape& shape = args.shape;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int outputs = outputs_of(shape);
  const int pairs = shape.gate_up ? outputs : (outputs + 1) / 2;
  const int pair_blocks = (pairs + kWarps - 1) / kWarps;
  const int octets = (shape.columns + kOctet - 1) / kOctet;
  const std::int64_t items = static_cast<std::int64_t>(tiles_of(args, kProductRows)) * pair_blocks;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const int pair = static_cast<int>(item % pair_blocks) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
    if (pair >= pairs) continue;
    const RowTile tile = row_tile(args, static_cast<int>(item / pair_blocks), kProductRows);
    const WeightView weight = args.experts == nullptr ? args.weight : args.experts[tile.expert];
    const int low = shape.gate_up ? pair : 2 * pair;
    const int high = shape.gate_up ? outputs + pair : (low + 1 < outputs ? low + 1 : low);
    const WeightRow low_row = weight_row<Form>(shape, weight, low);
    const WeightRow high_row = weight_row<Form>(shape, weight, high);
    float low_sums[kProductRows] = {};
    float high_sums[kProductRows] = {};
    for (int octet = lane; octet < octets; octet += kWarp) {
      const int k = octet * kOctet;
      const int group = octet / kBlockOctets >> shape.group_shift;
      float low_w[kOctet];
      float high_w[kOctet];
      weight_octet<Form>(low_row, octet, group, shape.columns, low_w);
      weight_octet<Form>(high_row, octet, group, shape.columns, high_w);
      if constexpr (is_quantized(Form)) {
        const float low_scale = to_float(low_row.scales[group]);
        const float high_scale = to_float(high_row.scales[group]);
        UNROLL for (int i = 0; i < kOctet; ++i) {
          low_w[i] *= low_scale;
          high_w[i] *= high_scale;
        }
      }
      UNROLL for (int r = 0; r < kProductRows; ++r) {
        if (r >= tile.rows) break;
        const float* row = input_row(args, tile.begin + r);
        float x[kOctet];
        load_octet(row + k, shape.columns - k, aligned16(row) && k + kOctet <= shape.columns, x);
        UNROLL for (int i = 0; i < kOctet; ++i) {
          low_sums[r] += low_w[i] * x[i];
          high_sums[r] += high_w[i] * x[i];
        }
      }
    }
    // Lane r has the results of row r.
    float low_sum = 0.0F;
    float high_sum = 0.0F;
    UNROLL for (int r = 0; r < kProductRows; ++r) {
      if (r >= tile.rows) break;
      const float low_total = warp_sum(low_sums[r]);
      const float high_total = warp_sum(high_sums[r]);
      low_sum = lane == r ? low_total : low_sum;
      high_sum = lane == r ? high_total : high_sum;
    }
    if (lane >= tile.rows) continue;
    float* y = args.y.data + (tile.begin + lane) * args.y.stride;
    const float first = finished_sum<Form>(weight, low, low_sum);
    const float second = finished_sum<Form>(weight, high, high_sum);
    store_result(args.epilogue, first, second, y[low]);
    if (!shape.gate_up && high != low) store_result(args.epilogue, second, 0.0F, y[high]);
  }
}

}  // namespace

void float_product(const Product& args, Stream stream) {
  const int pairs = args.shape.gate_up ? args.shape.rows / 2 : (args.shape.rows + 1) / 2;
  const Launch how{
      .grid = {grid_of(args, (pairs + kWarps - 1) / kWarps, kProductRows)}, .block = {kThreads}, .stream = stream};
  if (how.grid.x == 0) return;
  switch (args.shape.form) {
    case WeightForm::kInt8:
      return launch(float_product_kernel<WeightForm::kInt8>, how, args);
    case WeightForm::kInt4:
      return launch(float_product_kernel<WeightForm::kInt4>, how, args);
    default:
      return launch(float_product_kernel<WeightForm::kFloat32>, how, args);
  }
}

}  // namespace krait::cuda
