#pragma once

#include <cstdint>

namespace krait::cuda {

/// How the values of a weight lie in device memory. Of every row, eight neighbouring inputs (an octet) lie together:
///   kFloat32, kBFloat16: plain rows;
///   kInt8: octets of 8 bytes; of each 64 inputs, octet 4b + t is at place 2t + b (b < 2, t < 4);
///   kInt4: octets of 4 bytes, input i in bits 4 (i / 2) + 16 (i % 2); of each 128 inputs, octet 4b + t is at place
///   4t + b (b < 4, t < 4).
/// Four lanes t that load 16 bytes each thus have the octets that a matrix product wants of them, whole blocks of 32
/// inputs, which share a scale. Quantised rows are padded to whole 64 or 128 inputs.
enum class WeightForm : std::uint8_t { kFloat32, kBFloat16, kInt8, kInt4 };

/// Inputs that certainly share a scale.
constexpr int kScaleBlock = 32;

/// What weights that go through one launch have in common.
struct WeightShape {
  WeightForm form = WeightForm::kFloat32;
  bool gate_up = false;  ///< rows are gate's and then as many of up
  int rows = 0;          ///< outputs
  int columns = 0;       ///< inputs
  std::int64_t row_bytes = 0;
  int group_shift = 0;  ///< 2^this blocks of 32 inputs share a scale
  int groups = 0;       ///< scales of a row, those of the padding too

  friend bool operator==(const WeightShape&, const WeightShape&) = default;
};

/// Pointers into device memory. A quantised weight is (q - zero) * scale * unit.
struct WeightView {
  const void* values = nullptr;
  const std::uint16_t* scales = nullptr;  ///< float16 [rows, groups]
  const float* units = nullptr;           ///< [rows], powers of two
  const std::uint8_t* zeros = nullptr;    ///< [rows, groups] of int4; null: 8
  const float* bias = nullptr;            ///< [rows] or null
};

}  // namespace krait::cuda
