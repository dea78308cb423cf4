#pragma once

#include <cstdint>

#include "kernels/packed_weight.h"

namespace krait {

/// Readers of the rows (outputs) of matrices of integers in the layouts that QuantizedReader names. Of 8 bits they give
/// the stored value less 128, of 4 bits the value itself. `from` is not owned.

/// `[rows, columns]`, signed.
ReadQuantizedRows int8_rows(const std::int8_t* from, std::int64_t columns);
/// `[rows, columns / per]`, per = 32 / bits values in a word, the last one filled up.
ReadQuantizedRows packed_rows(const std::int32_t* from, std::int64_t columns, int bits);
/// GPTQ: `[columns / per, rows]`.
ReadQuantizedRows gptq_rows(const std::int32_t* from, std::int64_t rows, std::int64_t columns, int bits);
/// AWQ: `[columns, rows / 8]`, 4 bits, the eight of a word in AWQ's order.
ReadQuantizedRows awq_rows(const std::int32_t* from, std::int64_t rows, std::int64_t columns);

/// Which of the eight places of an AWQ word has output r, by r % 8.
int awq_place(std::int64_t output);

}  // namespace krait
