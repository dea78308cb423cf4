#include "kernels/cuda/linear/epilogue.cuh"

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
  const float up = args.form.gated ? value(args.columns + column) : 0.0F;
  store_result(args.form, value(column), up, args.y.data[row * args.y.stride + column]);
}

}  // namespace

void product_epilogue(const ProductEpilogue& args, Stream stream) {
  const std::int64_t count = static_cast<std::int64_t>(args.rows) * args.columns;
  if (count == 0) return;
  launch(product_epilogue_kernel, {.grid = {blocks_for(count, kThreads)}, .block = {kThreads}, .stream = stream}, args);
}

}  // namespace krait::cuda
