#include "kernels/cuda/convolution/causal_conv1d.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/convolution/conv_history.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;
/// Tokens of a tile; more than any state of a model has rows.
constexpr int kTile = 16;

/// The channel of a thread, or false.
__device__ __forceinline__ bool find_channel(const CausalConv1d& args, int& channel) {
  channel = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  return channel < args.channels;
}

/// The state has `Taps` rows, a tile `Tile` tokens.
template <int Taps, int Tile>
__global__ void __launch_bounds__(kThreads) conv_kernel(const CausalConv1d args) {
  int channel = 0;
  if (!find_channel(args, channel)) return;
  const SequenceTile tile = sequence_tile(args.sequences, static_cast<int>(blockIdx.x), Tile);
  const int write = args.sequences.state_write[tile.sequence];
  if (tile.first >= tile.length || write == 0) return;
  const ConvHistory history =
      conv_history(args.x, args.initial, args.sequences, args.state, Taps, args.channels, channel, tile);
  float window[Taps + Tile];
  UNROLL for (int i = 0; i < Taps + Tile; ++i) {
    const int position = tile.first - Taps + i;
    if (position < 0) {
      window[i] = history.kept(position);
    } else {
      window[i] = position < tile.length ? history.raw(position) : 0.0F;
    }
  }
  float weight[Taps + 1];
  UNROLL for (int k = 0; k <= Taps; ++k) weight[k] = args.weight.data[k * args.weight.stride + channel];
  const float bias = args.bias == nullptr ? 0.0F : args.bias[channel];
  UNROLL for (int i = 0; i < Taps; ++i) window[i] = round_stored(args.state.dtype, window[i]);
  float* out = args.out.data + (tile.begin + tile.first) * args.out.stride + channel;
  UNROLL for (int t = 0; t < Tile; ++t) {
    float sum = bias;
    UNROLL for (int k = 0; k <= Taps; ++k) sum += weight[k] * window[t + k];
    window[t + Taps] = round_stored(args.state.dtype, window[t + Taps]);
    if (tile.first + t < tile.length) out[t * args.out.stride] = args.silu ? silu(sum) : sum;
  }
  if (tile.first == 0) history.write(state_slot(args.state, write));
}

/// Any kernel; tiles of `size` tokens, no fewer than the state has rows.
__global__ void __launch_bounds__(kThreads) conv_any_kernel(const CausalConv1d args, const int size) {
  int channel = 0;
  if (!find_channel(args, channel)) return;
  const SequenceTile tile = sequence_tile(args.sequences, static_cast<int>(blockIdx.x), size);
  const int write = args.sequences.state_write[tile.sequence];
  if (tile.first >= tile.length || write == 0) return;
  const int taps = args.kernel - 1;
  const ConvHistory history =
      conv_history(args.x, args.initial, args.sequences, args.state, taps, args.channels, channel, tile);
  const float* weight = args.weight.data + channel;
  for (int t = tile.first; t < tile.first + size && t < tile.length; ++t) {
    float sum = args.bias == nullptr ? 0.0F : args.bias[channel];
    for (int k = 0; k < taps; ++k) sum += weight[k * args.weight.stride] * history.seen(t - taps + k);
    sum += weight[taps * args.weight.stride] * history.raw(t);
    args.out.data[(tile.begin + t) * args.out.stride + channel] = args.silu ? silu(sum) : sum;
  }
  if (tile.first == 0) history.write(state_slot(args.state, write));
}

Launch tiles_of(const CausalConv1d& args, int size, Stream stream) {
  return {.grid = {static_cast<unsigned>(sequence_tiles(args.tokens, args.sequences.count, size)),
                   blocks_for(args.channels, kThreads)},
          .block = {kThreads},
          .stream = stream};
}

}  // namespace

void causal_conv1d(const CausalConv1d& args, Stream stream) {
  if (args.tokens == 0 || args.channels == 0) return;
  if (args.kernel == 4 && args.one_token_each) return launch(conv_kernel<3, 1>, tiles_of(args, 1, stream), args);
  if (args.kernel == 4) return launch(conv_kernel<3, kTile>, tiles_of(args, kTile, stream), args);
  if (args.kernel == 3 && args.one_token_each) return launch(conv_kernel<2, 1>, tiles_of(args, 1, stream), args);
  if (args.kernel == 3) return launch(conv_kernel<2, kTile>, tiles_of(args, kTile, stream), args);
  const int size = args.one_token_each ? 1 : (args.kernel > kTile ? args.kernel : kTile);
  launch(conv_any_kernel, tiles_of(args, size, stream), args, size);
}

}  // namespace krait::cuda
