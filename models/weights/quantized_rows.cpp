#include "models/weights/quantized_rows.h"

#include <array>
#include <bit>
#include <cstring>

namespace krait {
namespace {

static_assert(std::endian::native == std::endian::little, "the first value of a word is read from its first byte");

std::int8_t less_128(std::uint8_t value) { return static_cast<std::int8_t>(value ^ 0x80U); }

/// The first `count` values of packed words.
void unpack(const std::int32_t* words, std::int64_t count, int bits, std::int8_t* to) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(words);
  if (bits == 8) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = less_128(bytes[i]);
    return;
  }
  for (std::int64_t i = 0; i < count / 2; ++i) {
    to[2 * i] = static_cast<std::int8_t>(bytes[i] & 15U);
    to[2 * i + 1] = static_cast<std::int8_t>(bytes[i] >> 4U);
  }
  if (count % 2 != 0) to[count - 1] = static_cast<std::int8_t>(bytes[count / 2] & 15U);
}

}  // namespace

int awq_place(std::int64_t output) {
  constexpr std::array<int, 8> kPlaces = {0, 4, 1, 5, 2, 6, 3, 7};
  return kPlaces[static_cast<std::size_t>(output % 8)];
}

ReadQuantizedRows int8_rows(const std::int8_t* from, std::int64_t columns) {
  return [=](std::int64_t begin, std::int64_t count, std::int8_t* to) {
    std::memcpy(to, from + begin * columns, static_cast<std::size_t>(count * columns));
  };
}

ReadQuantizedRows packed_rows(const std::int32_t* from, std::int64_t columns, int bits) {
  const int per = 32 / bits;
  const std::int64_t words = (columns + per - 1) / per;
  return [=](std::int64_t begin, std::int64_t count, std::int8_t* to) {
    for (std::int64_t i = 0; i < count; ++i) unpack(from + (begin + i) * words, columns, bits, to + i * columns);
  };
}

ReadQuantizedRows gptq_rows(const std::int32_t* from, std::int64_t rows, std::int64_t columns, int bits) {
  const int per = 32 / bits;
  return [=](std::int64_t begin, std::int64_t count, std::int8_t* to) {
    for (std::int64_t word = 0; word < columns / per; ++word) {
      for (std::int64_t i = 0; i < count; ++i) {
        unpack(from + word * rows + begin + i, per, bits, to + i * columns + word * per);
      }
    }
  };
}

ReadQuantizedRows awq_rows(const std::int32_t* from, std::int64_t rows, std::int64_t columns) {
  return [=](std::int64_t begin, std::int64_t count, std::int8_t* to) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int32_t* words = from + c * (rows / 8);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = begin + i;
        const auto word = static_cast<std::uint32_t>(words[row / 8]);
        to[i * columns + c] = static_cast<std::int8_t>(word >> (4 * awq_place(row)) & 15U);
      }
    }
  };
}

}  // namespace krait
