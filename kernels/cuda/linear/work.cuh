#pragma once

#include "kernels/cuda/linear/epilogue.cuh"
#include "kernels/cuda/linear/octets.cuh"
#include "kernels/cuda/linear/product.h"

namespace krait::cuda {

/// Tiles of rows of a product: those of the list, or all rows cut into equal ones.
__device__ __forceinline__ int tiles_of(const Product& args, int tile_rows) {
  return args.tiles != nullptr ? *args.tile_count : (args.rows + tile_rows - 1) / tile_rows;
}
__device__ __forceinline__ RowTile row_tile(const Product& args, int index, int tile_rows) {
  if (args.tiles != nullptr) return args.tiles[index];
  const int begin = index * tile_rows;
  return {.expert = 0, .begin = begin, .rows = args.rows - begin < tile_rows ? args.rows - begin : tile_rows};
}

/// Columns of the result.
__device__ __forceinline__ int outputs_of(const WeightShape& shape) {
  return shape.gate_up ? shape.rows / 2 : shape.rows;
}

/// Row `row` of the product's x.
__device__ __forceinline__ const float* input_row(const Product& args, int row) {
  const std::int64_t from = args.x_rows == nullptr ? row : args.x_rows[row];
  return args.x.data + from * args.x.stride;
}

/// A sum of integers times scales becomes one of weights, and gets its bias.
template <WeightForm Form>
__device__ __forceinline__ float finished_sum(const WeightView& weight, int row, float sum) {
  if constexpr (is_quantized(Form)) sum *= weight.units[row];
  return weight.bias == nullptr ? sum : sum + weight.bias[row];
}

/// Blocks of a launch over `items` of every tile: one an item, or the fixed grid of a list.
inline unsigned grid_of(const Product& args, std::int64_t items, int tile_rows) {
  if (args.tiles == nullptr) return static_cast<unsigned>(items * ((args.rows + tile_rows - 1) / tile_rows));
  const std::int64_t most = items * args.most_tiles;
  return static_cast<unsigned>(most < args.blocks ? most : args.blocks);
}

}  // namespace krait::cuda
