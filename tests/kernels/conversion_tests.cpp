#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/test_support.h"

namespace krait {
namespace {

/// The value that a half's bits mean, by the definition of the format.
double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const double mantissa = bits & 0x3ff;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

const cpu::KernelTable* native_table() { return cpu::detect_cpu_features().avx2 ? cpu::avx2_kernels() : nullptr; }

}  // namespace

TEST_CASE("Every float16 value survives the way to float32 and back") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = float16_to_float(bits);
    if ((bits & 0x7c00) == 0x7c00) {
      REQUIRE(((bits & 0x3ff) == 0 ? std::isinf(value) : std::isnan(value)));
      const auto back = float_to_float16(value);
      REQUIRE(back == ((bits & 0x3ff) == 0 ? bits : (bits | 0x200)));
      continue;
    }
    REQUIRE(static_cast<double>(value) == half_value(bits));
    REQUIRE(float_to_float16(value) == bits);
  }
}

TEST_CASE("float16 rounds to the nearest, ties to even, at every border between two values") {
  for (std::uint32_t i = 0; i < 0x7bff; ++i) {
    const auto low = static_cast<std::uint16_t>(i);
    const auto high = static_cast<std::uint16_t>(i + 1);
    const auto middle = static_cast<float>((half_value(low) + half_value(high)) / 2);
    REQUIRE(float_to_float16(middle) == ((low & 1U) == 0 ? low : high));
    REQUIRE(float_to_float16(std::nextafter(middle, 0.0F)) == low);
    REQUIRE(float_to_float16(std::nextafter(middle, 1e9F)) == high);
  }
  CHECK(float_to_float16(65519.996F) == 0x7bff);
  CHECK(float_to_float16(65520.0F) == 0x7c00);
}

TEST_CASE("Every bfloat16 value survives the way to float32 and back") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const bool nan = (bits & 0x7f80) == 0x7f80 && (bits & 0x7f) != 0;
    REQUIRE(float_to_bfloat16(bfloat16_to_float(bits)) == (nan ? (bits | 0x40) : bits));
  }
}

TEST_CASE("The vector code converts as the scalar code does, all 65536 values and odd lengths") {
  for (const cpu::KernelTable* table : {cpu::portable_kernels(), native_table()}) {
    if (table == nullptr) continue;
    for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
      CAPTURE(table->name, dtype_name(dtype));
      std::vector<std::uint16_t> halves(65536 - 5);
      for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
      std::vector<float> wide(halves.size());
      table->convert_row(dtype, false, halves.data(), wide.data(), static_cast<std::int64_t>(wide.size()));
      std::vector<std::uint16_t> back(halves.size());
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const float expected = dtype == DType::kBFloat16 ? bfloat16_to_float(halves[i]) : float16_to_float(halves[i]);
        if (std::memcmp(&expected, &wide[i], 4) != 0) ++wrong;
      }
      CHECK(wrong == 0);
      // Values between the halves too.
      for (float& x : wide) x *= 1.00037F;
      table->convert_row(dtype, true, wide.data(), back.data(), static_cast<std::int64_t>(wide.size()));
      for (std::size_t i = 0; i < wide.size(); ++i) {
        if (back[i] != (dtype == DType::kBFloat16 ? float_to_bfloat16(wide[i]) : float_to_float16(wide[i]))) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("Dtype names are read as they are written") {
  CHECK(parse_dtype("bfloat16") == DType::kBFloat16);
  CHECK(parse_dtype(dtype_name(DType::kFloat16)) == DType::kFloat16);
  CHECK(parse_safetensors_dtype("BF16") == DType::kBFloat16);
  CHECK_FALSE(parse_dtype("float17").has_value());
  CHECK(dtype_size(DType::kInt64) == 8);
}

}  // namespace krait
