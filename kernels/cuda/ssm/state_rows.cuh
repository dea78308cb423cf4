#pragma once

#include "kernels/cuda/reduce.cuh"

/// How a warp holds rows of a recurrent state in registers: 16 bytes a lane and load, neighbouring lanes neighbouring
/// bytes, several rows a lane in flight.
namespace krait::cuda {

/// 16 bytes of a state.
template <typename State>
struct alignas(16) StateVector {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(State));
  State element[kSize];
};

/// Rows of N elements.
template <typename State, int N>
struct StateRows {
  static constexpr int kVector = StateVector<State>::kSize;
  static constexpr int kVectors = N / kVector;  ///< of a row
  /// Lanes that share a row: a power of two that divides its vectors, the warp at most.
  static constexpr int kLanes = (kVectors & -kVectors) < kWarp ? (kVectors & -kVectors) : kWarp;
  static constexpr int kLaneVectors = kVectors / kLanes;
  static constexpr int kLaneElements = kLaneVectors * kVector;
  /// Rows that a lane has in flight.
  static constexpr int kRows = kLaneElements >= 24 ? 1 : (kLaneElements >= 12 || kLanes == 2 ? 2 : 4);
  static constexpr int kGroups = kWarp / kLanes;      ///< rows side by side in a warp
  static constexpr int kWarpRows = kRows * kGroups;   ///< rows of a warp
  static constexpr int kLanesOfSum = kLanes / kRows;  ///< lanes that end with the same row's sum
  static_assert(N % kVector == 0 && kLanes >= kRows);

  /// Column of a lane's vector `i`.
  static __device__ __forceinline__ int column(int lane, int i) { return (i * kLanes + lane % kLanes) * kVector; }
  /// The row of the warp that is a lane's row `r`.
  static __device__ __forceinline__ int row(int lane, int r) { return r * kGroups + lane / kLanes; }
  /// The row r whose sum `sum` gives to a lane.
  static __device__ __forceinline__ int summed(int lane) { return lane % kLanes / kLanesOfSum; }
  /// One lane a row writes its sum.
  static __device__ __forceinline__ bool writes(int lane) { return lane % kLanesOfSum == 0; }

  /// The lane's part of the row that begins at `from`.
  static __device__ __forceinline__ void load(const State* from, int lane, float (&to)[kLaneElements]) {
    UNROLL for (int i = 0; i < kLaneVectors; ++i) {
      const auto vector = *reinterpret_cast<const StateVector<State>*>(from + column(lane, i));
      UNROLL for (int j = 0; j < kVector; ++j) to[i * kVector + j] = to_float(vector.element[j]);
    }
  }
  static __device__ __forceinline__ void store(State* to, int lane, const float (&from)[kLaneElements]) {
    UNROLL for (int i = 0; i < kLaneVectors; ++i) {
      StateVector<State> vector;
      UNROLL for (int j = 0; j < kVector; ++j) vector.element[j] = from_float<State>(from[i * kVector + j]);
      *reinterpret_cast<StateVector<State>*>(to + column(lane, i)) = vector;
    }
  }
  /// The lane's part of N floats that begin on 16 bytes.
  static __device__ __forceinline__ void load_floats(const float* from, int lane, float (&to)[kLaneElements]) {
    UNROLL for (int i = 0; i < kLaneVectors; ++i) {
      UNROLL for (int j = 0; j < kVector; j += 4) {
        const auto four = *reinterpret_cast<const float4*>(from + column(lane, i) + j);
        to[i * kVector + j] = four.x;
        to[i * kVector + j + 1] = four.y;
        to[i * kVector + j + 2] = four.z;
        to[i * kVector + j + 3] = four.w;
      }
    }
  }

  /// Sums over the lanes of a row, for all rows at once: a lane gets that of its row `summed(lane)`. Each step halves
  /// the rows that a lane holds, so that it takes about kRows + log2(kLanes) shuffles. All lanes must call it.
  static __device__ __forceinline__ float sum(float (&values)[kRows], int lane) {
    int held = kRows;
    UNROLL for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      if (held == 1) {
        values[0] += __shfl_xor_sync(kAllLanes, values[0], distance);
        continue;
      }
      held /= 2;
      const bool upper = (lane & distance) != 0;
      UNROLL for (int i = 0; i < kRows / 2; ++i) {
        if (i >= held) break;
        const float given = upper ? values[i] : values[i + held];
        const float kept = upper ? values[i + held] : values[i];
        values[i] = kept + __shfl_xor_sync(kAllLanes, given, distance);
      }
    }
    return values[0];
  }
};

}  // namespace krait::cuda
