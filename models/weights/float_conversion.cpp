#include "models/weights/float_conversion.h"

#include <cstdint>

#include "kernels/result.h"

namespace krait {
namespace {

/// Calls `body(load)` with the function that reads element `index` of the source as a float.
template <typename Body>
void with_loader(const TensorView& source, Body body) {
  switch (source.dtype) {
    case DType::kFloat32:
      return body([data = source.as<float>()](std::int64_t index) { return data[index]; });
    case DType::kBFloat16:
      return body([data = source.as<std::uint16_t>()](std::int64_t index) { return bfloat16_to_float(data[index]); });
    case DType::kFloat16:
      return body([data = source.as<std::uint16_t>()](std::int64_t index) { return float16_to_float(data[index]); });
    default:
      KRAIT_BUG("no conversion to float32 from " + std::string(dtype_name(source.dtype)));
  }
}

}  // namespace

bool is_float_weight(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16;
}

void convert_to_float32(const TensorView& source, float* target) {
  const std::int64_t count = source.shape.elements();
  with_loader(source, [&](auto load) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = load(i);
  });
}

void convert_to_float32_transposed(const TensorView& source, float* target) {
  const std::int64_t rows = source.rows();
  const std::int64_t columns = source.columns();
  with_loader(source, [&](auto load) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column)
        target[column * rows + row] = load(row * columns + column);
    }
  });
}

}  // namespace krait
