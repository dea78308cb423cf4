#include "models/weights/quantized_matrix.h"

#include <algorithm>
#include <utility>

namespace krait {
namespace {

constexpr std::int64_t kBlock = 32;

std::uint16_t zero_of(const QuantizedMatrix& matrix, std::int64_t index) {
  if (matrix.zeros.empty()) return matrix.bits == 4 ? 8 : 128;
  return matrix.zeros[static_cast<std::size_t>(index)];
}

}  // namespace

bool can_stay_quantized(const QuantizedMatrix& matrix) {
  if (!matrix.group_of.empty()) return false;
  if (matrix.group % kBlock != 0 && matrix.groups() > 1) return false;
  const auto is_middle = [](std::uint16_t zero) { return zero == 128; };
  return matrix.bits == 4 || std::all_of(matrix.zeros.begin(), matrix.zeros.end(), is_middle);
}

void dequantize(const QuantizedMatrix& matrix, float* target) {
  const std::int64_t groups = matrix.groups();
  const int less = matrix.bits == 8 ? 128 : 0;
  // Outputs that lie side by side in the checkpoint are read together: a whole cache line of GPTQ's words.
  constexpr std::int64_t kRows = 16;
  std::vector<std::int8_t> block(static_cast<std::size_t>(kRows * matrix.columns));
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    if (r % kRows == 0) matrix.read_rows(r, std::min(kRows, matrix.rows - r), block.data());
    const std::int8_t* values = block.data() + r % kRows * matrix.columns;
    for (std::int64_t c = 0; c < matrix.columns; ++c) {
      const std::int64_t group =
          matrix.group_of.empty() ? c / matrix.group : matrix.group_of[static_cast<std::size_t>(c)];
      const std::int64_t index = r * groups + group;
      const int whole = values[c] + less - static_cast<int>(zero_of(matrix, index));
      target[r * matrix.columns + c] = static_cast<float>(whole) * matrix.scales[static_cast<std::size_t>(index)];
    }
  }
}

PackableMatrix make_packable(const QuantizedMatrix& matrix, const std::vector<std::int32_t>& rows) {
  PackableMatrix out;
  const std::int64_t groups = matrix.groups();
  const std::int64_t count = rows.empty() ? matrix.rows : static_cast<std::int64_t>(rows.size());
  const bool zeros = matrix.bits == 4 && std::any_of(matrix.zeros.begin(), matrix.zeros.end(),
                                                     [](std::uint16_t zero) { return zero != 8; });
  out.scales.reserve(static_cast<std::size_t>(count * groups));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = rows.empty() ? i : rows[static_cast<std::size_t>(i)];
    for (std::int64_t g = row * groups; g < (row + 1) * groups; ++g) {
      out.scales.push_back(matrix.scales[static_cast<std::size_t>(g)]);
      if (zeros) out.zeros.push_back(static_cast<std::uint8_t>(zero_of(matrix, g)));
    }
  }
  ReadQuantizedRows read_rows = matrix.read_rows;
  if (!rows.empty()) {
    read_rows = [read = matrix.read_rows, rows, columns = matrix.columns](std::int64_t begin, std::int64_t n,
                                                                          std::int8_t* to) {
      for (std::int64_t i = 0; i < n; ++i) read(rows[static_cast<std::size_t>(begin + i)], 1, to + i * columns);
    };
  }
  out.form = matrix.bits == 4 ? Quantization::kInt4 : Quantization::kInt8;
  out.group_size = static_cast<int>(groups > 1 ? matrix.group : (matrix.columns + kBlock - 1) / kBlock * kBlock);
  out.part = {.rows = count,
              .columns = matrix.columns,
              .read_rows = std::move(read_rows),
              .scales = out.scales.data(),
              .zeros = zeros ? out.zeros.data() : nullptr};
  return out;
}

}  // namespace krait
