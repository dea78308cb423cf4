#include "kernels/cuda/rg_lru/rg_lru.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/sequences.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 64;
/// Tokens whose loads are under way together.
constexpr int kAhead = 8;

/// What a token does to the state: s = a s + input.
struct Affine {
  float a = 1.0F;
  float input = 0.0F;
};

__device__ __forceinline__ Affine token_step(const RgLru& args, float coefficient, std::int64_t token, int channel,
                                             bool first) {
  const float x = args.x.data[token * args.x.stride + channel];
  const float input_gate = args.input_gate.data[token * args.input_gate.stride + channel];
  const float recurrent_gate = args.recurrent_gate.data[token * args.recurrent_gate.stride + channel];
  const float log_a = coefficient * sigmoid(recurrent_gate);
  const float input = sigmoid(input_gate) * x;
  return {.a = expf(log_a), .input = first ? input : sqrtf(-expm1f(2.0F * log_a)) * input};
}

template <typename T>
__global__ void __launch_bounds__(kThreads) rg_lru_kernel(const RgLru args) {
  const int sequence = static_cast<int>(blockIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int begin = args.sequences.query_start_loc[sequence];
  const int end = args.sequences.query_start_loc[sequence + 1];
  const std::int64_t write = args.sequences.state_write[sequence];
  if (begin == end || write == 0 || channel >= args.channels) return;
  const auto stride = static_cast<std::int64_t>(args.state.stride);
  const bool fresh = args.sequences.has_initial_state[sequence] == 0;
  const float coefficient = args.a_coefficient[channel];
  float state = 0.0F;
  if (!fresh) {
    const std::byte* slot = args.state.data + args.sequences.state_read[sequence] * stride;
    state = to_float(reinterpret_cast<const T*>(slot)[channel]);
  }
  const auto store = [&](std::int64_t slot) {
    reinterpret_cast<T*>(args.state.data + slot * stride)[channel] = from_float<T>(state);
  };
  NextSnapshot snapshots(args.sequences, sequence);
  for (int token = begin; token < end; token += kAhead) {
    Affine steps[kAhead];
    UNROLL for (int i = 0; i < kAhead; ++i) {
      if (token + i < end) {
        steps[i] = token_step(args, coefficient, token + i, channel, fresh && token + i == begin);
      }
    }
    UNROLL for (int i = 0; i < kAhead; ++i) {
      if (token + i < end) {
        state = steps[i].a * state + steps[i].input;
        args.y.data[(token + i) * args.y.stride + channel] = state;
        state = to_float(from_float<T>(state));
        if (const int slot = snapshots.slot(token + i - begin + 1)) store(slot);
      }
    }
  }
  store(write);
}

}  // namespace

void rg_lru(const RgLru& args, Stream stream) {
  const Launch how{.grid = {blocks_for(args.channels, kThreads), static_cast<unsigned>(args.sequences.count)},
                   .block = {kThreads},
                   .stream = stream};
  if (args.state.dtype == DType::kFloat32) {
    launch(rg_lru_kernel<float>, how, args);
  } else if (args.state.dtype == DType::kBFloat16) {
    launch(rg_lru_kernel<bfloat16>, how, args);
  } else {
    launch(rg_lru_kernel<float16>, how, args);
  }
}

}  // namespace krait::cuda
