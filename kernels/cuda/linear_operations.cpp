#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/elementwise/elementwise.h"
#include "kernels/cuda/linear/epilogue.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {

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

void CudaOperations::run_gemm(const PackedWeight& weight, const GemmInput& x, const TensorView& y,
                              const Epilogue& epilogue) {
  const CudaWeight& storage = cuda_weight(weight);
  require(storage.gate_up == epilogue.gated, "a gated product goes with weights packed as gate_up, and only with them");
  require(epilogue.activation != Activation::kSwigluClamp || (epilogue.gated && epilogue.limit > 0.0F),
          "swiglu clamp takes gate and up, and a limit above 0");
  require(x.columns == storage.columns, "a product of rows of another width than its weight");
  const Rows to = matrix(y, x.rows, storage.outputs(), "y of linear");
  const bool plain = !epilogue.gated && epilogue.activation == Activation::kNone && epilogue.scale == 1.0F &&
                     storage.bias_data() == nullptr;
  GemmArgs product{.m = x.rows,
                   .n = static_cast<int>(storage.rows),
                   .k = x.columns,
                   .dtype = x.dtype,
                   .x = x.data,
                   .x_stride = x.stride,
                   .w = storage.values.data.get(),
                   .y = to,
                   .accumulate = plain && epilogue.accumulate};
  if (!plain) {
    product.y = {.data = static_cast<float*>(products_.ensure(static_cast<std::size_t>(x.rows * storage.rows) * 4)),
                 .stride = storage.rows};
  }
  gemm_.run(product, stream_);
  if (plain) return;
  product_epilogue({.sums = {product.y.data, product.y.stride},
                    .bias = storage.bias_data(),
                    .gated = epilogue.gated,
                    .activation = epilogue.activation,
                    .gate_scale = epilogue.gate_scale,
                    .limit = epilogue.limit,
                    .scale = epilogue.scale,
                    .accumulate = epilogue.accumulate,
                    .y = to,
                    .rows = x.rows,
                    .columns = static_cast<int>(storage.outputs())},
                   stream_);
}

void CudaOperations::linear(const LinearArgs& args) {
  require(args.weight != nullptr && args.weight->defined(), "linear without a weight");
  if (args.x.rows() == 0) return;
  run_gemm(*args.weight, gemm_input(args.x, cuda_weight(*args.weight).compute_dtype), args.y, args.epilogue);
}

}  // namespace krait::cuda
