#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {
namespace {

/// Runs an element-wise kernel over all units. Waking the threads costs more than a few thousand elements do.
template <typename KernelArgs>
void run_elements(ThreadPool& pool, void (*kernel)(const KernelArgs&, Index, Index), const KernelArgs& args,
                  Index rows) {
  constexpr Index kSerialElements = 8192;
  const Index units = rows * ((args.columns + kElementBlockColumns - 1) / kElementBlockColumns);
  if (rows * args.columns <= kSerialElements) return kernel(args, 0, units);
  pool.parallel_for(units, [&](Index begin, Index end, int) { kernel(args, begin, end); });
}

void require_function(Activation activation) {
  require(activation != Activation::kSwigluClamp, "an activation of one number (swiglu clamp takes gate and up)");
}

ScaledTermKernelArgs term_args(const ScaledTerm& term, Index rows, Index columns) {
  return {.x = const_matrix(term.x, rows, columns, "a term's x"),
          .scale = term.scale,
          .weight = vector_or_null(term.weight, columns, "a term's weight"),
          .bias = vector_or_null(term.bias, columns, "a term's bias")};
}

}  // namespace

void CpuOperations::gate(const GateArgs& args) {
  require_function(args.activation);
  const Index rows = args.x.rows();
  const Index columns = args.x.columns();
  require(args.gate_width > 0 && columns % args.gate_width == 0, "the width of a gate");
  const GateKernelArgs kernel{.x = const_matrix(args.x, rows, columns, "x of gate"),
                              .gate = const_matrix(args.gate, rows, columns / args.gate_width, "gate"),
                              .gate_width = args.gate_width,
                              .activation = args.activation,
                              .scale = args.scale,
                              .accumulate = args.accumulate,
                              .out = matrix(args.out, rows, columns, "gate out"),
                              .columns = columns};
  run_elements(pool_, kernels_.gate, kernel, rows);
}

void CpuOperations::scaled_add(const ScaledAddArgs& args) {
  const Index rows = args.first.x.rows();
  const Index columns = args.first.x.columns();
  ScaledAddKernelArgs kernel{.first = term_args(args.first, rows, columns),
                             .second = {},
                             .out = matrix(args.out, rows, columns, "scaled_add out"),
                             .columns = columns};
  if (args.second.x.data != nullptr) kernel.second = term_args(args.second, rows, columns);
  run_elements(pool_, kernels_.scaled_add, kernel, rows);
}

void CpuOperations::activate(const ActivateArgs& args) {
  require_function(args.activation);
  const Index rows = args.x.rows();
  const Index columns = args.x.columns();
  const ActivateKernelArgs kernel{.x = const_matrix(args.x, rows, columns, "x of activate"),
                                  .activation = args.activation,
                                  .input_scale = args.input_scale,
                                  .output_scale = args.output_scale,
                                  .out = matrix(args.out, rows, columns, "activate out"),
                                  .columns = columns};
  run_elements(pool_, kernels_.activate, kernel, rows);
}

}  // namespace krait::cpu
