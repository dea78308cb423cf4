#include "kernels/cuda/linear/fragments.cuh"
#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/linear/work.cuh"

namespace krait::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
/// Steps of rows in shared memory: those of int4 are twice as long.
template <WeightForm Form>
constexpr int kStages = Form == WeightForm::kInt4 ? 2 : 3;
constexpr int kResultStride = kWarps * kTileOutputs + 4;  ///< of a row of sums in shared memory: no bank conflicts
constexpr int kRowTiles = kManyRows / 8;                  ///< columns of a matrix product's B are 8 rows

/// 16-byte chunks of the rows of one step in shared memory. Odd rows have halves of 64 bytes exchanged, so that eight
/// lanes, which read four chunks of two rows, meet no bank twice.
template <int Chunks>
__device__ __forceinline__ int chunk_place(int row, int chunk) {
  return row * Chunks + (chunk ^ ((row & 1) << 2));
}

/// The warps have outputs of their own and all rows of the tile, which lie in shared memory; weights go from device
/// memory to registers, a step ahead.
template <WeightForm Form, int OutputTiles>
__global__ void __launch_bounds__(kThreads) many_rows_kernel(const Product args) {
  constexpr int kChunks = kStepBlocks<Form> * kBlockOctets;
  constexpr int kStageWords = kManyRows * kChunks;
  const WeightShape& shape = args.shape;
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int g = thread % 32 / 4;
  const int t = thread % 4;
  SHARED_ARRAY(uint4, stages, kStages<Form> * kStageWords);
  SHARED_ARRAY(int, sources, kManyRows);
  const auto* rounded = static_cast<const bfloat16*>(args.rounded);
  const int outputs = outputs_of(shape);
  const int width = shape.gate_up ? kTileOutputs / 2 : kTileOutputs;
  const int block_width = kWarps * OutputTiles * width;
  const int steps = (shape.columns + kChunks * kOctet - 1) / (kChunks * kOctet);
  const int tiles = tiles_of(args, kManyRows);
  const int output_blocks = (outputs + block_width - 1) / block_width;
  const std::int64_t items = static_cast<std::int64_t>(tiles) * output_blocks;
  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    // Row tiles of one weight follow each other: it is read from memory once.
    const bool listed = args.tiles != nullptr;
    const auto tile_index = static_cast<int>(listed ? item / output_blocks : item % tiles);
    const auto output_block = static_cast<int>(listed ? item % output_blocks : item / tiles);
    const RowTile tile = row_tile(args, tile_index, kManyRows);
    const WeightView weight = args.experts == nullptr ? args.weight : args.experts[tile.expert];
    __syncthreads();  // the rows of the item before may still be read
    if (thread < kManyRows) {
      const int row = tile.begin + thread;
      sources[thread] = thread >= tile.rows ? -1 : args.x_rows == nullptr ? row : args.x_rows[row];
    }
    __syncthreads();
    const auto copy_rows = [&](int step) {
      if (step < steps) {
        uint4* stage = stages + step % kStages<Form> * kStageWords;
        UNROLL for (int i = thread; i < kManyRows * kChunks; i += kThreads) {
          const int row = i / kChunks;
          const int chunk = i % kChunks;
          const int input = (step * kChunks + chunk) * kOctet;
          const bool copied = sources[row] >= 0 && input < shape.columns;
          const bfloat16* from = copied ? rounded + sources[row] * args.rounded_stride + input : rounded;
          ptx::cp_async16(stage + chunk_place<kChunks>(row, chunk), from, copied);
        }
      }
      ptx::cp_async_commit();
    };
    const int first = output_block * block_width + warp * OutputTiles * width + g;
    WeightRow rows[OutputTiles][2];
    UNROLL for (int m = 0; m < OutputTiles; ++m) {
      // Outputs past the end are computed as the last one, and not stored.
      const int low = first + m * width < outputs ? first + m * width : outputs - 1;
      const int high = shape.gate_up ? outputs + low : (low + 8 < outputs ? low + 8 : outputs - 1);
      rows[m][0] = weight_row<Form>(shape, weight, low);
      rows[m][1] = weight_row<Form>(shape, weight, high);
    }
    Step<Form> now[OutputTiles][2];
    for (int step = 0; step < kStages<Form> - 1; ++step) copy_rows(step);
    UNROLL for (int m = 0; m < OutputTiles; ++m) {
      UNROLL for (int half = 0; half < 2; ++half) now[m][half] = load_step<Form>(rows[m][half], 0, t, shape.columns);
    }
    float sums[OutputTiles][kRowTiles][4] = {};
    for (int step = 0; step < steps; ++step) {
      ptx::cp_async_wait<kStages<Form> - 2>();
      __syncthreads();
      copy_rows(step + kStages<Form> - 1);
      Step<Form> next[OutputTiles][2];
      const int following = step + 1 < steps ? step + 1 : step;
      UNROLL for (int m = 0; m < OutputTiles; ++m) {
        UNROLL for (int half = 0; half < 2; ++half) next[m][half] =
            load_step<Form>(rows[m][half], following, t, shape.columns);
      }
      const uint4* stage = stages + step % kStages<Form> * kStageWords;
      UNROLL for (int b = 0; b < kStepBlocks<Form>; ++b) {
        const int group = (step * kStepBlocks<Form> + b) >> shape.group_shift;
        std::uint32_t pairs[OutputTiles][2][4];
        float scales[OutputTiles][2];
        UNROLL for (int m = 0; m < OutputTiles; ++m) {
          UNROLL for (int half = 0; half < 2; ++half) {
            std::uint32_t offset = 0;
            scales[m][half] = 1.0F;
            if constexpr (is_quantized(Form)) scales[m][half] = to_float(rows[m][half].scales[group]);
            if constexpr (Form == WeightForm::kInt4) offset = int4_offset(zero_point(rows[m][half], group));
            step_pairs<Form>(now[m][half], b, offset, pairs[m][half]);
          }
        }
        UNROLL for (int n = 0; n < kRowTiles; ++n) {
          const uint4 chunk = stage[chunk_place<kChunks>(n * 8 + g, b * kBlockOctets + t)];
          const std::uint32_t x_pairs[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
          UNROLL for (int m = 0; m < OutputTiles; ++m) {
            add_block<Form>(sums[m][n], pairs[m][0], pairs[m][1], x_pairs, scales[m][0], scales[m][1]);
          }
        }
      }
      UNROLL for (int m = 0; m < OutputTiles; ++m) {
        UNROLL for (int half = 0; half < 2; ++half) now[m][half] = next[m][half];
      }
    }
    // Through shared memory, so that neighbours write neighbours; a tile of each warp at a time.
    auto* results = reinterpret_cast<float*>(stages);
    for (int m = 0; m < OutputTiles; ++m) {
      __syncthreads();
      UNROLL for (int tile_of_lane = 0; tile_of_lane < OutputTiles; ++tile_of_lane) {
        if (tile_of_lane != m) continue;
        UNROLL for (int n = 0; n < kRowTiles; ++n) {
          float* to = results + (n * 8 + 2 * t) * kResultStride + warp * kTileOutputs + g;
          to[0] = sums[tile_of_lane][n][0];
          to[kResultStride] = sums[tile_of_lane][n][1];
          to[8] = sums[tile_of_lane][n][2];
          to[kResultStride + 8] = sums[tile_of_lane][n][3];
        }
      }
      __syncthreads();
      for (int i = thread; i < tile.rows * kWarps * width; i += kThreads) {
        const int row = i / (kWarps * width);
        const int of_warp = i / width % kWarps;
        const int column = i % width;
        const int output = output_block * block_width + (of_warp * OutputTiles + m) * width + column;
        if (output >= outputs) continue;
        const float* from = results + row * kResultStride + of_warp * kTileOutputs + column;
        const float low = finished_sum<Form>(weight, output, from[0]);
        const float up = shape.gate_up ? finished_sum<Form>(weight, outputs + output, from[8]) : 0.0F;
        store_result(args.epilogue, low, up, args.y.data[(tile.begin + row) * args.y.stride + output]);
      }
    }
  }
}

template <WeightForm Form>
void launch_form(const Product& args, Stream stream) {
  // Two tiles of int4 with their scales are more than the registers hold.
  constexpr int kWide = Form == WeightForm::kInt4 ? 1 : 2;
  const int outputs = args.shape.gate_up ? args.shape.rows / 2 : args.shape.rows;
  const int width = kWarps * (args.shape.gate_up ? kTileOutputs / 2 : kTileOutputs);
  Launch how{.block = {kThreads}, .stream = stream};
  how.grid.x = grid_of(args, (outputs + kWide * width - 1) / (kWide * width), kManyRows);
  if (how.grid.x == 0) return;
  if (kWide == 1 || static_cast<int>(how.grid.x) >= args.blocks) {
    return launch(many_rows_kernel<Form, kWide>, how, args);
  }
  // Too few blocks for all multiprocessors: half as many outputs each.
  how.grid.x = grid_of(args, (outputs + width - 1) / width, kManyRows);
  launch(many_rows_kernel<Form, 1>, how, args);
}

}  // namespace

void many_rows_product(const Product& args, Stream stream) {
  switch (args.shape.form) {
    case WeightForm::kInt8:
      return launch_form<WeightForm::kInt8>(args, stream);
    case WeightForm::kInt4:
      return launch_form<WeightForm::kInt4>(args, stream);
    default:
      return launch_form<WeightForm::kBFloat16>(args, stream);
  }
}

}  // namespace krait::cuda
