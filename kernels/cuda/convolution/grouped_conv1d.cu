#include "kernels/cuda/convolution/grouped_conv1d.h"

#include "kernels/cuda/convolution/conv_history.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;

__device__ __forceinline__ ConvHistory history_of(const GroupedConv1d& args, const SequenceTile& tile, int channel) {
  return conv_history(args.x, args.initial, args.sequences, args.state, args.kernel - 1, args.channels, channel, tile);
}

/// A block: a token, some of its channels.
__global__ void __launch_bounds__(kThreads) inputs_kernel(const GroupedConv1d args) {
  const int channel = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  if (channel >= args.channels) return;
  const auto token = static_cast<int>(blockIdx.x);
  SequenceTile tile;
  tile.sequence = sequence_of_token(args.sequences, token);
  tile.begin = args.sequences.query_start_loc[tile.sequence];
  tile.length = args.sequences.query_start_loc[tile.sequence + 1] - tile.begin;
  const bool padding = args.sequences.state_write[tile.sequence] == 0;
  const ConvHistory history = history_of(args, tile, channel);
  const int position = token - tile.begin;
  const int taps = args.kernel - 1;
  const std::int64_t at = static_cast<std::int64_t>(token) * args.channels + channel;
  const std::int64_t matrix = static_cast<std::int64_t>(args.tokens) * args.channels;
  for (int k = 0; k < args.kernel; ++k) {
    float value = 0.0F;  // what slot 0 holds is not looked at
    if (!padding) value = k == taps ? history.raw(position) : history.seen(position - taps + k);
    args.shifted[k * matrix + at] = value;
  }
  args.sums[at] = args.bias == nullptr ? 0.0F : args.bias[channel];
}

/// A block: a token, some of its channels; that of a sequence's last token leaves its state.
__global__ void __launch_bounds__(kThreads) finish_kernel(const GroupedConv1d args) {
  const int channel = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  if (channel >= args.channels) return;
  const auto token = static_cast<int>(blockIdx.x);
  SequenceTile tile;
  tile.sequence = sequence_of_token(args.sequences, token);
  tile.begin = args.sequences.query_start_loc[tile.sequence];
  tile.length = args.sequences.query_start_loc[tile.sequence + 1] - tile.begin;
  const int write = args.sequences.state_write[tile.sequence];
  if (write == 0) return;
  args.out.data[token * args.out.stride + channel] =
      args.sums[static_cast<std::int64_t>(token) * args.channels + channel];
  if (token == tile.begin + tile.length - 1) history_of(args, tile, channel).write(state_slot(args.state, write));
}

Launch blocks_of(const GroupedConv1d& args, Stream stream) {
  return {.grid = {static_cast<unsigned>(args.tokens), blocks_for(args.channels, kThreads)},
          .block = {kThreads},
          .stream = stream};
}

}  // namespace

void grouped_conv1d_inputs(const GroupedConv1d& args, Stream stream) {
  if (args.tokens > 0) launch(inputs_kernel, blocks_of(args, stream), args);
}

void grouped_conv1d_finish(const GroupedConv1d& args, Stream stream) {
  if (args.tokens > 0) launch(finish_kernel, blocks_of(args, stream), args);
}

}  // namespace krait::cuda
