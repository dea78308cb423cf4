#include "kernels/cuda/elementwise/elementwise.h"

#include "kernels/cuda/activation.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 256;

/// A thread an element: blocks along a row, rows along y and z (a grid's y ends at 65,535).
constexpr unsigned kGridRows = 32768;
Launch over(int rows, int columns, Stream stream) {
  const auto count = static_cast<unsigned>(rows);
  return {.grid = {blocks_for(columns, kThreads), count < kGridRows ? count : kGridRows, blocks_for(rows, kGridRows)},
          .block = {kThreads},
          .stream = stream};
}

struct Element {
  std::int64_t row = 0;
  int column = 0;
  bool inside = false;
};
__device__ __forceinline__ Element element(int rows, int columns) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.z) * kGridRows + blockIdx.y;
  const int column = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  return {row, column, row < rows && column < columns};
}

__global__ void __launch_bounds__(kThreads) gate_kernel(const Gate args) {
  const Element at = element(args.rows, args.columns);
  if (!at.inside) return;
  const float gate = activate(args.activation, args.gate.data[at.row * args.gate.stride + at.column / args.gate_width]);
  const float y = args.scale * (args.x.data[at.row * args.x.stride + at.column] * gate);
  float& out = args.out.data[at.row * args.out.stride + at.column];
  out = args.accumulate ? out + y : y;
}

__device__ __forceinline__ float term_value(const Term& term, const Element& at) {
  float x = term.x.data[at.row * term.x.stride + at.column];
  if (term.bias != nullptr) x += term.bias[at.column];
  if (term.weight != nullptr) x *= term.weight[at.column];
  return term.scale * x;
}

__global__ void __launch_bounds__(kThreads) scaled_add_kernel(const ScaledAdd args) {
  const Element at = element(args.rows, args.columns);
  if (!at.inside) return;
  float y = term_value(args.first, at);
  if (args.second.x.data != nullptr) y += term_value(args.second, at);
  args.out.data[at.row * args.out.stride + at.column] = y;
}

__global__ void __launch_bounds__(kThreads) activate_kernel(const Activate args) {
  const Element at = element(args.rows, args.columns);
  if (!at.inside) return;
  const float x = args.input_scale * args.x.data[at.row * args.x.stride + at.column];
  args.out.data[at.row * args.out.stride + at.column] = args.output_scale * activate(args.activation, x);
}

__global__ void __launch_bounds__(kThreads) gather_rows_kernel(const GatherRows args) {
  const Element at = element(args.rows, args.columns);
  if (!at.inside) return;
  const std::int64_t from = args.indices[at.row];
  args.out.data[at.row * args.out.stride + at.column] = args.x.data[from * args.x.stride + at.column];
}

template <typename T>
__global__ void __launch_bounds__(kThreads) embedding_kernel(const Embedding args) {
  const Element at = element(args.tokens, args.hidden);
  if (!at.inside) return;
  const T* row = static_cast<const T*>(args.table) + args.ids[at.row] * args.stride;
  args.out.data[at.row * args.out.stride + at.column] = args.multiplier * to_float(row[at.column]);
}

__global__ void __launch_bounds__(kThreads) round_kernel(const RoundRows args) {
  const Element at = element(args.rows, args.columns);
  if (!at.inside) return;
  static_cast<bfloat16*>(args.to)[at.row * args.columns + at.column] =
      from_float<bfloat16>(args.x.data[at.row * args.x.stride + at.column]);
}

}  // namespace

void gate(const Gate& args, Stream stream) {
  if (args.rows > 0) launch(gate_kernel, over(args.rows, args.columns, stream), args);
}
void scaled_add(const ScaledAdd& args, Stream stream) {
  if (args.rows > 0) launch(scaled_add_kernel, over(args.rows, args.columns, stream), args);
}
void activate(const Activate& args, Stream stream) {
  if (args.rows > 0) launch(activate_kernel, over(args.rows, args.columns, stream), args);
}
void gather_rows(const GatherRows& args, Stream stream) {
  if (args.rows > 0) launch(gather_rows_kernel, over(args.rows, args.columns, stream), args);
}
void round_to_bfloat16(const RoundRows& args, Stream stream) {
  if (args.rows > 0) launch(round_kernel, over(args.rows, args.columns, stream), args);
}

void embedding(const Embedding& args, Stream stream) {
  if (args.tokens == 0) return;
  const Launch how = over(args.tokens, args.hidden, stream);
  switch (args.dtype) {
    case DType::kBFloat16:
      return launch(embedding_kernel<bfloat16>, how, args);
    case DType::kFloat16:
      return launch(embedding_kernel<float16>, how, args);
    default:
      return launch(embedding_kernel<float>, how, args);
  }
}

}  // namespace krait::cuda
