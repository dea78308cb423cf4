#pragma once

#include "kernels/cuda/delta/matrix_scan.h"
#include "kernels/cuda/sequences.cuh"
#include "kernels/cuda/warp_sums.cuh"

/// Recurrences over a matrix state, token by token. A row of the state belongs to one element of the value and does not
/// depend on the others, so a warp keeps a few rows in registers through all tokens of a sequence: the state is read
/// once and written once. Lane l holds columns 4 l to 4 l + 3 of every group of 128.
namespace krait::cuda {

constexpr int kScanWarps = 4;
constexpr int kVector = 4;
constexpr int kGroupColumns = kVector * kWarp;

template <typename T>
struct alignas(kVector * sizeof(T)) Four {
  T values[kVector];
};

/// `columns` values from or to a row that is `aligned` to four values (with columns a multiple of four), or not.
struct RowShape {
  int columns = 0;
  bool aligned = false;
};

template <int kGroups, typename T>
__device__ __forceinline__ void load_row(const T* from, const RowShape& shape, float (&to)[kVector * kGroups]) {
  const int first = static_cast<int>(threadIdx.x) % kWarp * kVector;
  UNROLL for (int group = 0; group < kGroups; ++group) {
    const int column = group * kGroupColumns + first;
    if (shape.aligned) {
      Four<T> four{};
      if (column < shape.columns) four = *reinterpret_cast<const Four<T>*>(from + column);
      UNROLL for (int i = 0; i < kVector; ++i) to[group * kVector + i] = to_float(four.values[i]);
    } else {
      UNROLL for (int i = 0; i < kVector; ++i) {
        to[group * kVector + i] = column + i < shape.columns ? to_float(from[column + i]) : 0.0F;
      }
    }
  }
}

template <int kGroups, typename T>
__device__ __forceinline__ void store_row(T* to, const RowShape& shape, const float (&from)[kVector * kGroups]) {
  const int first = static_cast<int>(threadIdx.x) % kWarp * kVector;
  UNROLL for (int group = 0; group < kGroups; ++group) {
    const int column = group * kGroupColumns + first;
    if (shape.aligned) {
      Four<T> four;
      UNROLL for (int i = 0; i < kVector; ++i) four.values[i] = from_float<T>(from[group * kVector + i]);
      if (column < shape.columns) *reinterpret_cast<Four<T>*>(to + column) = four;
    } else {
      UNROLL for (int i = 0; i < kVector; ++i) {
        if (column + i < shape.columns) to[column + i] = from_float<T>(from[group * kVector + i]);
      }
    }
  }
}

template <int kColumns>
__device__ __forceinline__ float dot(const float (&a)[kColumns], const float (&b)[kColumns]) {
  float sum = 0.0F;
  UNROLL for (int i = 0; i < kColumns; ++i) sum += a[i] * b[i];
  return sum;
}

/// The rows of one warp: `count` (at most kRows) from `row` on, of head `head`.
template <typename T, int kGroups>
struct StateRows {
  using Element = T;
  static constexpr int kColumns = kVector * kGroups;
  /// As many as keep some KiB on their way to each multiprocessor without spilling.
  static constexpr int kRows = kGroups == 1 && sizeof(T) == 2 ? 8 : 4;

  float values[kRows][kColumns];
  int head = 0;
  int row = 0;
  int count = 0;

  __device__ __forceinline__ void round() {
    UNROLL for (int r = 0; r < kRows; ++r) {
      UNROLL for (int i = 0; i < kColumns; ++i) values[r][i] = to_float(from_float<T>(values[r][i]));
    }
  }
};

/// Blocks of `kScanWarps` warps a head and sequence. `step(rows, token)` takes the rows through one token; it is called
/// by whole warps, and different ones see different tokens, so it may not wait for the block.
template <typename T, int kGroups, typename Step>
__device__ __forceinline__ void scan_rows(const MatrixScan& scan, const Step& step) {
  using Warp = StateRows<T, kGroups>;
  constexpr int kBlockRows = kScanWarps * Warp::kRows;
  const int sequence = static_cast<int>(blockIdx.y);
  const int begin = scan.sequences.query_start_loc[sequence];
  const int end = scan.sequences.query_start_loc[sequence + 1];
  const std::int64_t write = scan.sequences.state_write[sequence];
  if (begin == end || write == 0 || end - begin > scan.most_tokens) return;
  const int tiles = (scan.value_dim + kBlockRows - 1) / kBlockRows;
  const int block = static_cast<int>(blockIdx.x);
  Warp rows;
  rows.head = block / tiles;
  rows.row = block % tiles * kBlockRows + static_cast<int>(threadIdx.x) / kWarp * Warp::kRows;
  rows.count = scan.value_dim - rows.row < Warp::kRows ? scan.value_dim - rows.row : Warp::kRows;
  if (rows.count <= 0) return;
  const auto stride = static_cast<std::int64_t>(scan.state.stride);
  const std::int64_t at = (std::int64_t{rows.head} * scan.value_dim + rows.row) * scan.key_dim;
  const RowShape shape{.columns = scan.key_dim, .aligned = scan.key_dim % kVector == 0};
  const bool fresh = scan.sequences.has_initial_state[sequence] == 0;
  const T* from = reinterpret_cast<const T*>(scan.state.data + scan.sequences.state_read[sequence] * stride) + at;
  UNROLL for (int r = 0; r < Warp::kRows; ++r) {
    if (fresh || r >= rows.count) {
      UNROLL for (int i = 0; i < Warp::kColumns; ++i) rows.values[r][i] = 0.0F;
    } else {
      load_row<kGroups>(from + r * scan.key_dim, shape, rows.values[r]);
    }
  }
  const auto store = [&](std::int64_t slot) {
    T* to = reinterpret_cast<T*>(scan.state.data + slot * stride) + at;
    UNROLL for (int r = 0; r < Warp::kRows; ++r) {
      if (r < rows.count) store_row<kGroups>(to + r * scan.key_dim, shape, rows.values[r]);
    }
  };
  NextSnapshot snapshots(scan.sequences, sequence);
  for (int token = begin; token < end; ++token) {
    step(rows, token);
    if (const int slot = snapshots.slot(token - begin + 1)) store(slot);
  }
  store(write);
}

template <typename T, int kGroups>
Launch scan_launch(const MatrixScan& scan, Stream stream) {
  const unsigned tiles = blocks_for(scan.value_dim, kScanWarps * StateRows<T, kGroups>::kRows);
  return {.grid = {static_cast<unsigned>(scan.heads) * tiles, static_cast<unsigned>(scan.sequences.count)},
          .block = {kScanWarps * kWarp},
          .stream = stream};
}

/// Calls run.operator()<T, kGroups>() for the state's type and width.
template <typename T, typename Run>
void with_groups(int key_dim, const Run& run) {
  if (key_dim <= kGroupColumns) {
    run.template operator()<T, 1>();
  } else if (key_dim <= 2 * kGroupColumns) {
    run.template operator()<T, 2>();
  } else {
    run.template operator()<T, 4>();
  }
}
template <typename Run>
void with_state(const MatrixScan& scan, const Run& run) {
  if (scan.state.dtype == DType::kFloat32) {
    with_groups<float>(scan.key_dim, run);
  } else if (scan.state.dtype == DType::kBFloat16) {
    with_groups<bfloat16>(scan.key_dim, run);
  } else {
    with_groups<float16>(scan.key_dim, run);
  }
}

}  // namespace krait::cuda
