#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/elementwise/elementwise.h"
#include "kernels/cuda/linear/convert.h"
#include "kernels/cuda/linear/epilogue.h"
#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

/// Our own kernel takes 8 rows while it reads the weights once, and has rounding and epilogue in it; above, the library
/// reads them as often and has the better pipeline.
constexpr std::int64_t kFewRows = kProductRows;
/// Of quantised weights, which the library does not take, some tiles of few rows more: the others read the weights from
/// L2, while blocks of many rows would be too few for the device.
constexpr std::int64_t kFewQuantizedRows = 4 * kProductRows;

EpilogueForm epilogue_form(const Epilogue& epilogue) {
  return {.gated = epilogue.gated,
          .activation = epilogue.activation,
          .gate_scale = epilogue.gate_scale,
          .limit = epilogue.limit,
          .scale = epilogue.scale,
          .accumulate = epilogue.accumulate};
}

}  // namespace

CudaOperations::GemmInput CudaOperations::gemm_input(const TensorView& x, DType dtype) {
  const ConstRows from = const_matrix(x, x.rows(), x.columns(), "x of linear");
  GemmInput input{.data = from.data,
                  .stride = from.stride,
                  .dtype = dtype,
                  .rows = static_cast<int>(x.rows()),
                  .columns = static_cast<int>(x.columns())};
  if (dtype == DType::kFloat32) return input;
  void* rounded = rounded_.ensure(static_cast<std::size_t>(x.rows() * x.columns()) * dtype_size(dtype));
  round_to_bfloat16({.x = from, .to = rounded, .rows = input.rows, .columns = input.columns}, stream_);
  input.data = rounded;
  input.stride = input.columns;
  return input;
}

void CudaOperations::library_product(const CudaWeight& weight, const GemmInput& x, const Rows& y,
                                     const EpilogueForm& epilogue) {
  const bool plain = !epilogue.gated && epilogue.activation == Activation::kNone && epilogue.scale == 1.0F &&
                     weight.view.bias == nullptr;
  GemmArgs product{.m = x.rows,
                   .n = weight.shape.rows,
                   .k = x.columns,
                   .dtype = x.dtype,
                   .x = x.data,
                   .x_stride = x.stride,
                   .w = weight.view.values,
                   .y = y,
                   .accumulate = plain && epilogue.accumulate};
  if (!plain) {
    const auto sums = static_cast<std::size_t>(x.rows) * static_cast<std::size_t>(weight.shape.rows);
    product.y = {.data = static_cast<float*>(products_.ensure(sums * sizeof(float))), .stride = weight.shape.rows};
  }
  gemm_.run(product, stream_);
  if (plain) return;
  product_epilogue({.sums = {product.y.data, product.y.stride},
                    .bias = weight.view.bias,
                    .form = epilogue,
                    .y = y,
                    .rows = x.rows,
                    .columns = weight.outputs()},
                   stream_);
}

void CudaOperations::linear(const LinearArgs& args) {
  require(args.weight != nullptr && args.weight->defined(), "linear without a weight");
  const std::int64_t rows = args.x.rows();
  if (rows == 0) return;
  const CudaWeight& weight = cuda_weight(*args.weight);
  const Epilogue& epilogue = args.epilogue;
  require(weight.shape.gate_up == epilogue.gated,
          "a gated product goes with weights packed as gate_up, and only with them");
  require(epilogue.activation != Activation::kSwigluClamp || (epilogue.gated && epilogue.limit > 0.0F),
          "swiglu clamp takes gate and up, and a limit above 0");
  const Rows y = matrix(args.y, rows, weight.outputs(), "y of linear");
  const EpilogueForm form = epilogue_form(epilogue);
  const ConstRows x = const_matrix(args.x, rows, weight.shape.columns, "x of linear");
  if (rows > kFewRows && !weight.quantized()) {
    return library_product(weight, gemm_input(args.x, weight.compute_dtype), y, form);
  }
  const Product product{
      .shape = weight.shape, .weight = weight.view, .rows = static_cast<int>(rows), .x = x, .y = y, .epilogue = form};
  run_product(product, weight.compute_dtype, rows > kFewQuantizedRows, rows);
}

void CudaOperations::run_product(Product product, DType compute_dtype, bool many_rows, std::int64_t x_rows) {
  if (compute_dtype == DType::kFloat32) return float_product(product, stream_);
  if (!many_rows) return few_rows_product(product, stream_);
  const int columns = product.shape.columns;
  product.rounded_stride = (columns + 7) / 8 * 8;
  const std::int64_t elements = x_rows * product.rounded_stride;
  void* rounded = rounded_.ensure(static_cast<std::size_t>(elements) * dtype_size(DType::kBFloat16));
  round_padded({.x = product.x,
                .to = rounded,
                .stride = product.rounded_stride,
                .rows = static_cast<int>(x_rows),
                .columns = columns},
               stream_);
  product.rounded = rounded;
  many_rows_product(product, stream_);
}

}  // namespace krait::cuda
