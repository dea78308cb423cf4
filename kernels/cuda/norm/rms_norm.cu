#include "kernels/cuda/norm/rms_norm.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/reduce.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) add_rms_norm_kernel(const AddRmsNorm args) {
  const std::int64_t t = blockIdx.x;
  float* residual = args.residual.data + t * args.residual.stride;
  const float* add = args.add.data == nullptr ? nullptr : args.add.data + t * args.add.stride;
  float* out = args.out.data + t * args.out.stride;
  const int first = static_cast<int>(threadIdx.x);
  float squares = 0.0F;
  for (int i = first; i < args.hidden; i += kThreads) {
    float value = residual[i];
    if (add != nullptr) {
      value += args.add_scale * add[i];
      residual[i] = value;
    }
    squares += value * value;
  }
  const float factor = 1.0F / sqrtf(block_sum<kThreads>(squares) / static_cast<float>(args.hidden) + args.eps);
  for (int i = first; i < args.hidden; i += kThreads) {
    const float scaled = residual[i] * factor;
    out[i] = args.weight == nullptr ? scaled : scaled * args.weight[i];
  }
}

__device__ __forceinline__ float gate_value(Activation activation, float z) {
  return activation == Activation::kSigmoid ? sigmoid(z) : silu(z);
}

__global__ void __launch_bounds__(kThreads) gated_rms_norm_kernel(const GatedRmsNorm args) {
  const int width = args.channels / args.groups;
  const std::int64_t t = blockIdx.x;
  const int offset = static_cast<int>(blockIdx.y) * width;
  const float* y = args.y.data + t * args.y.stride + offset;
  const float* z = args.z.data + t * args.z.stride + offset;
  float* out = args.out.data + t * args.out.stride + offset;
  const bool gate_first = args.order == GateOrder::kGateFirst || args.weight == nullptr;
  const int first = static_cast<int>(threadIdx.x);
  float squares = 0.0F;
  for (int i = first; i < width; i += kThreads) {
    const float value = gate_first ? y[i] * gate_value(args.activation, z[i]) : y[i];
    squares += value * value;
  }
  float factor = 1.0F;
  const float* weight = args.weight;
  if (weight != nullptr) {
    factor = 1.0F / sqrtf(block_sum<kThreads>(squares) / static_cast<float>(width) + args.eps);
    if (!args.shared_weight) weight += offset;
  }
  for (int i = first; i < width; i += kThreads) {
    // y and out may be one matrix: each thread reads what it writes.
    const float gate = gate_value(args.activation, z[i]);
    if (weight == nullptr) {
      out[i] = y[i] * gate;
    } else if (gate_first) {
      out[i] = y[i] * gate * factor * weight[i];
    } else {
      out[i] = y[i] * factor * weight[i] * gate;
    }
  }
}

}  // namespace

void add_rms_norm(const AddRmsNorm& args, Stream stream) {
  if (args.tokens == 0) return;
  launch(add_rms_norm_kernel, {.grid = {static_cast<unsigned>(args.tokens)}, .block = {kThreads}, .stream = stream},
         args);
}

void gated_rms_norm(const GatedRmsNorm& args, Stream stream) {
  if (args.tokens == 0) return;
  launch(gated_rms_norm_kernel,
         {.grid = {static_cast<unsigned>(args.tokens), static_cast<unsigned>(args.groups)},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
