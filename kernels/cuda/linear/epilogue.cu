#include "kernels/cuda/linear/epilogue.h"

#include "kernels/cuda/activation.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) product_epilogue_kernel(const ProductEpilogue args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= static_cast<std::int64_t>(args.rows) * args.columns) return;
  const std::int64_t row = index / args.columns;
  const std::int64_t column = index % args.columns;
  const float* sums = args.sums.data + row * args.sums.stride;
  const auto value = [&](std::int64_t c) { return args.bias == nullptr ? sums[c] : sums[c] + args.bias[c]; };
  float result;
  if (args.gated) {
    result = activate_gated(args.activation, args.gate_scale * value(column), value(args.columns + column), args.limit);
  } else {
    result = activate(args.activation, value(column));
  }
  float& y = args.y.data[row * args.y.stride + column];
  y = args.accumulate ? y + args.scale * result : args.scale * result;
}

}  // namespace

void product_epilogue(const ProductEpilogue& args, Stream stream) {
  const std::int64_t count = static_cast<std::int64_t>(args.rows) * args.columns;
  if (count == 0) return;
  launch(product_epilogue_kernel, {.grid = {blocks_for(count, kThreads)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
