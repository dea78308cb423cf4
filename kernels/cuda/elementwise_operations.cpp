#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/elementwise/elementwise.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

void require_function(Activation activation) {
  require(activation != Activation::kSwigluClamp, "an activation of one number (swiglu clamp takes gate and up)");
}

Term term(const ScaledTerm& from, std::int64_t rows, std::int64_t columns) {
  return {.x = const_matrix(from.x, rows, columns, "a term's x"),
          .scale = from.scale,
          .weight = vector_or_null(from.weight, columns, "a term's weight"),
          .bias = vector_or_null(from.bias, columns, "a term's bias")};
}

}  // namespace

void CudaOperations::gate(const GateArgs& args) {
  require_function(args.activation);
  const std::int64_t rows = args.x.rows();
  const std::int64_t columns = args.x.columns();
  require(args.gate_width > 0 && columns % args.gate_width == 0, "the width of a gate");
  cuda::gate({.x = const_matrix(args.x, rows, columns, "x of gate"),
              .gate = const_matrix(args.gate, rows, columns / args.gate_width, "gate"),
              .gate_width = args.gate_width,
              .activation = args.activation,
              .scale = args.scale,
              .accumulate = args.accumulate,
              .out = matrix(args.out, rows, columns, "gate out"),
              .rows = static_cast<int>(rows),
              .columns = static_cast<int>(columns)},
             stream_);
}

void CudaOperations::scaled_add(const ScaledAddArgs& args) {
  const std::int64_t rows = args.first.x.rows();
  const std::int64_t columns = args.first.x.columns();
  ScaledAdd kernel{.first = term(args.first, rows, columns),
                   .second = {},
                   .out = matrix(args.out, rows, columns, "scaled_add out"),
                   .rows = static_cast<int>(rows),
                   .columns = static_cast<int>(columns)};
  if (args.second.x.data != nullptr) kernel.second = term(args.second, rows, columns);
  cuda::scaled_add(kernel, stream_);
}

void CudaOperations::activate(const ActivateArgs& args) {
  require_function(args.activation);
  const std::int64_t rows = args.x.rows();
  const std::int64_t columns = args.x.columns();
  cuda::activate({.x = const_matrix(args.x, rows, columns, "x of activate"),
                  .activation = args.activation,
                  .input_scale = args.input_scale,
                  .output_scale = args.output_scale,
                  .out = matrix(args.out, rows, columns, "activate out"),
                  .rows = static_cast<int>(rows),
                  .columns = static_cast<int>(columns)},
                 stream_);
}

void CudaOperations::gather_rows(const GatherRowsArgs& args) {
  const auto rows = static_cast<std::int64_t>(args.indices.size());
  const std::int64_t columns = args.x.columns();
  for (const std::int32_t index : args.indices) {
    require(index >= 0 && index < args.x.rows(), "a row index outside of x");
  }
  cuda::gather_rows({.x = const_matrix(args.x, 0, columns, "rows"),
                     .indices = stage_.on_device(args.indices),
                     .out = matrix(args.out, rows, columns, "gathered rows"),
                     .rows = static_cast<int>(rows),
                     .columns = static_cast<int>(columns)},
                    stream_);
}

}  // namespace krait::cuda
