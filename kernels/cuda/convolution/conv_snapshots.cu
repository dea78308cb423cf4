#include "kernels/cuda/convolution/conv_snapshots.h"

#include "kernels/cuda/convolution/conv_history.cuh"

namespace krait::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) snapshots_kernel(const ConvSnapshots args) {
  const int channel = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  const StateSnapshot snapshot = args.sequences.snapshots[blockIdx.x];
  if (channel >= args.channels || args.sequences.state_write[snapshot.sequence] == 0) return;
  SequenceTile tile;
  tile.sequence = snapshot.sequence;
  tile.begin = args.sequences.query_start_loc[snapshot.sequence];
  tile.length = snapshot.tokens;
  const ConvHistory history =
      conv_history(args.x, args.initial, args.sequences, args.state, args.kernel - 1, args.channels, channel, tile);
  history.write(state_slot(args.state, snapshot.slot));
}

}  // namespace

void conv_snapshots(const ConvSnapshots& args, Stream stream) {
  if (args.sequences.snapshot_count == 0 || args.kernel == 1) return;
  launch(snapshots_kernel,
         {.grid = {static_cast<unsigned>(args.sequences.snapshot_count), blocks_for(args.channels, kThreads)},
          .block = {kThreads},
          .stream = stream},
         args);
}

}  // namespace krait::cuda
