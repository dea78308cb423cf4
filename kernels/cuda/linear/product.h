#pragma once

#include <cstdint>

#include "kernels/cuda/linear/epilogue.h"
#include "kernels/cuda/linear/weight_view.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"

namespace krait::cuda {

/// Rows of a product that share a weight: at most as many as a kernel takes at a time.
struct RowTile {
  std::int32_t expert = 0;
  std::int32_t begin = 0;
  std::int32_t rows = 0;
};

/// Products by our own kernels, with their epilogue: y [rows, outputs] = epilogue(x [rows, inputs] w^T). The rows have
/// one weight, or are cut into tiles by a list that lies on the device: blocks of a fixed grid loop over it.
struct Product {
  WeightShape shape{};
  WeightView weight{};
  int rows = 0;
  ConstRows x{};
  const std::int32_t* x_rows = nullptr;  ///< row r of the product is row x_rows[r] of x; null: row r
  Rows y{};
  EpilogueForm epilogue{};

  const WeightView* experts = nullptr;  ///< instead of `weight` and `rows`: weights of the tiles, all of one shape
  const RowTile* tiles = nullptr;
  const std::int32_t* tile_count = nullptr;
  int most_tiles = 0;  ///< no list is longer
  int blocks = 0;      ///< that fill the device: the grid that loops over a list has no more

  /// Instead of `x` for many_rows_product: its rows in bfloat16, `rounded_stride` apart, a multiple of 8, with zeros
  /// from the last input to there.
  const void* rounded = nullptr;
  std::int64_t rounded_stride = 0;
};

/// Rows of a tile of these kernels.
constexpr int kProductRows = 8;

/// Few rows, rounded to bfloat16 as they are read; weights of bfloat16, int8 or int4. A block has 16 outputs (8 of a
/// gated product) and 8 rows; its 8 warps share the inputs and add their sums in one order, which does not depend on
/// the number of rows. Reads each weight once for 8 rows: bound by memory, 1/2, 1/4 or 1/8 FLOP a bit and row.
void few_rows_product(const Product& args, Stream stream);

/// Rows of a tile of many_rows_product.
constexpr int kManyRows = 64;

/// The same products for many rows, which come rounded: a block has 128 or 64 outputs (half of that gated) and 64 rows,
/// which lie in shared memory (cp.async, two or three steps); weights go into registers once for 64 rows and are made
/// bfloat16 there. Per 32 inputs, 16 outputs and 8 rows: two matrix instructions, and four float32 multiply-adds for
/// the scales. Bound by mma.sync; below some hundred rows by memory.
void many_rows_product(const Product& args, Stream stream);

/// The same in float32 arithmetic, of weights of float32, int8 or int4: a warp has two outputs and 8 rows.
void float_product(const Product& args, Stream stream);

}  // namespace krait::cuda
