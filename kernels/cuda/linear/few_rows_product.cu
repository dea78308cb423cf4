#include "kernels/cuda/linear/fragments.cuh"
#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/linear/work.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kSumStride = 20;  ///< of the sums of a row in shared memory: no bank conflicts

template <WeightForm Form>
__global__ void __launch_bounds__(kThreads) few_rows_kernel(const Product args) {
  const WeightShape& shape = args.shape;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  SHARED_ARRAY(float, sums, kWarps* kProductRows* kSumStride);
  const int outputs = outputs_of(shape);
  const int width = shape.gate_up ? kTileOutputs / 2 : kTileOutputs;
  const int output_tiles = (outputs + width - 1) / width;
  const int steps = (shape.columns + kStepBlocks<Form> * kScaleBlock - 1) / (kStepBlocks<Form> * kScaleBlock);
  const std::int64_t items = static_cast<std::int64_t>(tiles_of(args, kProductRows)) * output_tiles;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const RowTile tile = row_tile(args, static_cast<int>(item / output_tiles), kProductRows);
    const WeightView weight = args.experts == nullptr ? args.weight : args.experts[tile.expert];
    const int first = static_cast<int>(item % output_tiles) * width;
    // Outputs past the end are computed as the last one, and not stored.
    const int mine = first + g < outputs ? first + g : outputs - 1;
    const int other = shape.gate_up ? outputs + mine : (mine + 8 < outputs ? mine + 8 : outputs - 1);
    const WeightRow low_row = weight_row<Form>(shape, weight, mine);
    const WeightRow high_row = weight_row<Form>(shape, weight, other);
    const float* x = g < tile.rows ? input_row(args, tile.begin + g) : nullptr;
    const bool fast = aligned16(x);
    float total[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    for (int step = warp; step < steps; step += kWarps) {
      const Step<Form> low_step = load_step<Form>(low_row, step, t, shape.columns);
      const Step<Form> high_step = load_step<Form>(high_row, step, t, shape.columns);
      UNROLL for (int b = 0; b < kStepBlocks<Form>; ++b) {
        const int block = step * kStepBlocks<Form> + b;
        const int k = block * kScaleBlock + t * kOctet;
        std::uint32_t rows[4] = {0, 0, 0, 0};
        if (x != nullptr && k < shape.columns) {
          float values[kOctet];
          load_octet(x + k, shape.columns - k, fast && k + kOctet <= shape.columns, values);
          UNROLL for (int i = 0; i < 4; ++i) rows[i] = ptx::pack_bfloat16(values[2 * i], values[2 * i + 1]);
        }
        std::uint32_t low[4];
        std::uint32_t high[4];
        const int group = block >> shape.group_shift;
        std::uint32_t low_offset = 0;
        std::uint32_t high_offset = 0;
        if constexpr (Form == WeightForm::kInt4) {
          low_offset = int4_offset(zero_point(low_row, group));
          high_offset = int4_offset(zero_point(high_row, group));
        }
        step_pairs<Form>(low_step, b, low_offset, low);
        step_pairs<Form>(high_step, b, high_offset, high);
        float low_scale = 1.0F;
        float high_scale = 1.0F;
        if constexpr (is_quantized(Form)) {
          low_scale = to_float(low_row.scales[group]);
          high_scale = to_float(high_row.scales[group]);
        }
        add_block<Form>(total, low, high, rows, low_scale, high_scale);
      }
    }
    float* mine_sums = sums + (warp * kProductRows + 2 * t) * kSumStride + g;
    mine_sums[0] = total[0];
    mine_sums[kSumStride] = total[1];
    mine_sums[8] = total[2];
    mine_sums[kSumStride + 8] = total[3];
    __syncthreads();
    const int r = static_cast<int>(threadIdx.x) / width;
    const int column = static_cast<int>(threadIdx.x) % width;
    if (r < tile.rows && first + column < outputs) {
      const auto sum = [&](int place) {
        float all = 0.0F;
        UNROLL for (int w = 0; w < kWarps; ++w) all += sums[(w * kProductRows + r) * kSumStride + place];
        return all;
      };
      const int output = first + column;
      const float low = finished_sum<Form>(weight, output, sum(column));
      const float up = shape.gate_up ? finished_sum<Form>(weight, outputs + output, sum(column + 8)) : 0.0F;
      store_result(args.epilogue, low, up, args.y.data[(tile.begin + r) * args.y.stride + output]);
    }
    __syncthreads();
  }
}

}  // namespace

void few_rows_product(const Product& args, Stream stream) {
  const int outputs = args.shape.gate_up ? args.shape.rows / 2 : args.shape.rows;
  const int width = args.shape.gate_up ? kTileOutputs / 2 : kTileOutputs;
  const Launch how{
      .grid = {grid_of(args, (outputs + width - 1) / width, kProductRows)}, .block = {kThreads}, .stream = stream};
  if (how.grid.x == 0) return;
  switch (args.shape.form) {
    case WeightForm::kInt8:
      return launch(few_rows_kernel<WeightForm::kInt8>, how, args);
    case WeightForm::kInt4:
      return launch(few_rows_kernel<WeightForm::kInt4>, how, args);
    default:
      return launch(few_rows_kernel<WeightForm::kBFloat16>, how, args);
  }
}

}  // namespace krait::cuda
