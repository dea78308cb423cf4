#include "models/weights/float8.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using krait::dequantize_float8;
using krait::DType;
using krait::float8_e4m3_to_float;
using krait::float8_e5m2_to_float;
using krait::Float8Scales;
using krait::Shape;
using krait::TensorView;

namespace {

/// The value by the format's definition.
double e4m3(int bits) {
  const double sign = (bits & 0x80) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::nan("");
  return exponent == 0 ? sign * std::ldexp(mantissa, -9) : sign * std::ldexp(8 + mantissa, exponent - 10);
}

double e5m2(int bits) {
  const double sign = (bits & 0x80) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 2) & 31;
  const int mantissa = bits & 3;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
  return exponent == 0 ? sign * std::ldexp(mantissa, -16) : sign * std::ldexp(4 + mantissa, exponent - 17);
}

void check_format(float (*to_float)(std::uint8_t), double (*definition)(int)) {
  for (int bits = 0; bits < 256; ++bits) {
    CAPTURE(bits);
    const float value = to_float(static_cast<std::uint8_t>(bits));
    if (std::isnan(definition(bits))) {
      CHECK(std::isnan(value));
      continue;
    }
    CHECK(static_cast<double>(value) == definition(bits));
    CHECK(std::signbit(value) == (bits >= 128));
    CHECK(krait::bfloat16_to_float(krait::float_to_bfloat16(value)) == value);
  }
}

}  // namespace

TEST_CASE("every 8-bit float is what its bits say, and exact in bfloat16") {
  check_format(float8_e4m3_to_float, e4m3);
  CHECK(float8_e4m3_to_float(0x7e) == 448.0F);
  check_format(float8_e5m2_to_float, e5m2);
  CHECK(float8_e5m2_to_float(0x7b) == 57344.0F);
}

TEST_CASE("a matrix is read in the format of its dtype") {
  std::vector<std::uint8_t> bits{0x3c, 0xc0, 0x44};  // 1, -2, 4 as e5m2
  std::vector<float> out(3);
  dequantize_float8(TensorView(bits.data(), DType::kFloat8E5M2, Shape{1, 3}), {}, out.data());
  CHECK(out == std::vector<float>{1.0F, -2.0F, 4.0F});
}

TEST_CASE("scales of a tensor, of rows and of blocks are multiplied in float32") {
  // 1, 2, 4, … by exponent; three rows of five.
  std::vector<std::uint8_t> bits(15);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>((7 + i % 5) << 3);
  const TensorView source(bits.data(), DType::kFloat8E4M3, Shape{3, 5});
  std::vector<float> out(15);
  const auto at = [&](std::size_t r, std::size_t c) { return out[r * 5 + c]; };

  dequantize_float8(source, {}, out.data());
  CHECK(at(2, 4) == 16.0F);

  const std::vector<float> one{0.1F};
  dequantize_float8(source, {.values = one, .row_block = 3, .column_block = 5}, out.data());
  CHECK(at(1, 3) == 8.0F * 0.1F);

  const std::vector<float> rows{0.5F, 3.0F, 0.3F};
  dequantize_float8(source, {.values = rows, .row_block = 1, .column_block = 5, .row_stride = 1}, out.data());
  CHECK(at(0, 0) == 0.5F);
  CHECK(at(1, 1) == 6.0F);
  CHECK(at(2, 2) == 4.0F * 0.3F);

  // Blocks of 2 by 2 that the matrix does not fill: two rows of three scales.
  const std::vector<float> blocks{1, 2, 3, 5, 7, 11};
  dequantize_float8(source, {.values = blocks, .row_block = 2, .column_block = 2, .row_stride = 3}, out.data());
  CHECK(at(1, 1) == 2.0F);
  CHECK(at(0, 2) == 8.0F);
  CHECK(at(1, 4) == 48.0F);
  CHECK(at(2, 0) == 5.0F);
  CHECK(at(2, 3) == 56.0F);
  CHECK(at(2, 4) == 176.0F);
}
