#include "models/weights/float8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "kernels/result.h"

namespace krait {
namespace {

using Table = std::array<float, 256>;

Table make_table(DType dtype) {
  if (!is_float8(dtype)) KRAIT_BUG("no 8-bit float: " + std::string(dtype_name(dtype)));
  const auto to_float = dtype == DType::kFloat8E4M3 ? float8_e4m3_to_float : float8_e5m2_to_float;
  Table table{};
  for (std::size_t bits = 0; bits < table.size(); ++bits) table[bits] = to_float(static_cast<std::uint8_t>(bits));
  return table;
}

}  // namespace

bool is_float8(DType dtype) { return dtype == DType::kFloat8E4M3 || dtype == DType::kFloat8E5M2; }

float float8_e4m3_to_float(std::uint8_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80U) << 24;
  const std::uint32_t exponent = (bits >> 3) & 0xfU;
  const std::uint32_t mantissa = bits & 0x7U;
  if (exponent == 0xfU && mantissa == 0x7U) return std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  return std::bit_cast<float>(sign | ((exponent + 120U) << 23) | (mantissa << 20));
}

float float8_e5m2_to_float(std::uint8_t bits) { return float16_to_float(static_cast<std::uint16_t>(bits << 8)); }

void dequantize_float8(const TensorView& source, const Float8Scales& scales, float* target) {
  const Table table = make_table(source.dtype);
  const auto* bits = source.as<const std::uint8_t>();
  const std::int64_t columns = source.columns();
  for (std::int64_t r = 0; r < source.rows(); ++r, bits += columns, target += columns) {
    for (std::int64_t c = 0; c < columns; ++c) target[c] = table[bits[c]];
    if (scales.values.empty()) continue;
    const float* row = scales.values.data() + r / scales.row_block * scales.row_stride;
    for (std::int64_t begin = 0; begin < columns; begin += scales.column_block, ++row) {
      const std::int64_t end = std::min(columns, begin + scales.column_block);
      for (std::int64_t c = begin; c < end; ++c) target[c] *= *row;
    }
  }
}

}  // namespace krait
