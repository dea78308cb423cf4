#include "kernels/cuda/linear/convert.h"

#include "kernels/cuda/port.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 256;

template <typename From, typename To>
__global__ void __launch_bounds__(kThreads) convert_kernel(const Convert args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= args.count) return;
  static_cast<To*>(args.to)[index] = from_float<To>(to_float(static_cast<const From*>(args.from)[index]));
}

__global__ void __launch_bounds__(kThreads) round_kernel(const RoundPadded args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= args.rows * args.stride) return;
  const std::int64_t row = index / args.stride;
  const std::int64_t column = index % args.stride;
  const float value = column < args.columns ? args.x.data[row * args.x.stride + column] : 0.0F;
  static_cast<bfloat16*>(args.to)[index] = from_float<bfloat16>(value);
}

template <typename To>
void convert_to(const Convert& args, const Launch& how) {
  switch (args.from_dtype) {
    case DType::kBFloat16:
      return launch(convert_kernel<bfloat16, To>, how, args);
    case DType::kFloat16:
      return launch(convert_kernel<float16, To>, how, args);
    default:
      return launch(convert_kernel<float, To>, how, args);
  }
}

}  // namespace

void convert(const Convert& args, Stream stream) {
  if (args.count == 0) return;
  const Launch how{.grid = {blocks_for(args.count, kThreads)}, .block = {kThreads}, .stream = stream};
  if (args.to_dtype == DType::kBFloat16) return convert_to<bfloat16>(args, how);
  convert_to<float>(args, how);
}

void round_padded(const RoundPadded& args, Stream stream) {
  if (args.rows == 0) return;
  launch(round_kernel, {.grid = {blocks_for(args.rows * args.stride, kThreads)}, .block = {kThreads}, .stream = stream},
         args);
}

}  // namespace krait::cuda
