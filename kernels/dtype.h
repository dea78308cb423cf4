#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace krait {

enum class DType : std::uint8_t {
  kFloat32,
  kBFloat16,
  kFloat16,
  kFloat8E4M3,
  kFloat8E5M2,
  kInt64,
  kInt32,
  kInt8,
  kUInt8,
  kBool
};

/// Bytes of one element.
std::size_t dtype_size(DType dtype);
/// "float32", "bfloat16", …: the names that flags and config files use.
std::string_view dtype_name(DType dtype);
/// Reads the names of flags and config files ("float32", "bfloat16", "float16", …).
std::optional<DType> parse_dtype(std::string_view name);
/// Reads the names of safetensors headers ("F32", "BF16", …).
std::optional<DType> parse_safetensors_dtype(std::string_view name);

/// Rounds to nearest even; a NaN stays a NaN.
inline std::uint16_t float_to_bfloat16(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  bits += 0x7fffU + ((bits >> 16) & 1U);
  return static_cast<std::uint16_t>(bits >> 16);
}
inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
/// IEEE half precision, round to nearest even, with subnormals and infinities.
std::uint16_t float_to_float16(float value);
float float16_to_float(std::uint16_t bits);

}  // namespace krait
