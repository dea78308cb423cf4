#include "kernels/cuda/convolution/causal_conv1d.h"
#include "kernels/cuda/convolution/conv_snapshots.h"
#include "kernels/cuda/convolution/grouped_conv1d.h"
#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/staged_sequences.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

bool one_token_each(std::span<const std::int32_t> query_start_loc) {
  for (std::size_t i = 1; i < query_start_loc.size(); ++i) {
    if (query_start_loc[i] - query_start_loc[i - 1] > 1) return false;
  }
  return true;
}

StateSlots conv_slots(const StateCacheView& state, int kernel) {
  require(kernel >= 1 && is_kernel_float(state.conv_dtype), "convolution weight or state");
  require(kernel == 1 || state.conv != nullptr, "convolution state");
  return {.data = state.conv, .stride = state.slot_stride, .dtype = state.conv_dtype};
}

/// The part of a convolution that its snapshots need.
template <typename Convolution>
ConvSnapshots snapshots_of(const Convolution& convolution) {
  return {.x = convolution.x,
          .initial = convolution.initial,
          .kernel = convolution.kernel,
          .channels = convolution.channels,
          .sequences = convolution.sequences,
          .state = convolution.state};
}

}  // namespace

void CudaOperations::causal_conv1d(const CausalConv1dArgs& args) {
  if (args.batch.query_start_loc.size() < 2) return;
  const std::int32_t tokens = args.batch.query_start_loc.back();
  const auto kernel = static_cast<int>(args.weight.rows());
  const std::int64_t channels = args.weight.columns();
  const CausalConv1d conv{.x = const_matrix(args.x, tokens, channels, "x of the convolution"),
                          .weight = const_matrix(args.weight, kernel, channels, "convolution weight"),
                          .bias = vector_or_null(args.bias, channels, "convolution bias"),
                          .initial = vector_or_null(args.initial, channels, "initial inputs of the convolution"),
                          .silu = args.silu,
                          .kernel = kernel,
                          .channels = static_cast<int>(channels),
                          .sequences = staged_sequences(stage_, args.batch),
                          .state = conv_slots(args.state, kernel),
                          .out = matrix(args.out, tokens, channels, "convolution out"),
                          .tokens = tokens,
                          .one_token_each = one_token_each(args.batch.query_start_loc)};
  conv_snapshots(snapshots_of(conv), stream_);
  cuda::causal_conv1d(conv, stream_);
}

// One product for each tap and group over the inputs that the tap sees. The taps are added in order, the oldest first.
void CudaOperations::grouped_causal_conv1d(const GroupedCausalConv1dArgs& args) {
  if (args.batch.query_start_loc.size() < 2) return;
  const std::int32_t tokens = args.batch.query_start_loc.back();
  if (tokens == 0) return;
  const std::int64_t channels = args.x.columns();
  require(args.groups >= 1 && channels % args.groups == 0, "groups of the convolution");
  const StateSlots state = conv_slots(args.state, args.kernel);
  require(args.weights.size() == static_cast<std::size_t>(args.groups) * static_cast<std::size_t>(args.kernel),
          "weights of the convolution");
  const std::int64_t size = tokens * channels;
  auto* shifted = static_cast<float*>(conv_rows_.ensure(static_cast<std::size_t>(size * (args.kernel + 1)) * 4));
  float* sums = shifted + args.kernel * size;
  const GroupedConv1d kernel{.x = const_matrix(args.x, tokens, channels, "x of the convolution"),
                             .bias = vector_or_null(args.bias, channels, "convolution bias"),
                             .initial = vector_or_null(args.initial, channels, "initial inputs of the convolution"),
                             .kernel = args.kernel,
                             .channels = static_cast<int>(channels),
                             .sequences = staged_sequences(stage_, args.batch),
                             .state = state,
                             .shifted = shifted,
                             .sums = sums,
                             .out = matrix(args.out, tokens, channels, "convolution out"),
                             .tokens = tokens};
  conv_snapshots(snapshots_of(kernel), stream_);
  grouped_conv1d_inputs(kernel, stream_);
  const std::int64_t width = channels / args.groups;
  const TensorView sums_view(sums, DType::kFloat32, Shape{tokens, channels});
  for (int tap = 0; tap < args.kernel; ++tap) {
    const TensorView inputs(shifted + tap * size, DType::kFloat32, Shape{tokens, channels});
    for (int group = 0; group < args.groups; ++group) {
      const PackedWeight& weight = args.weights[static_cast<std::size_t>(group * args.kernel + tap)];
      linear({.weight = &weight,
              .x = inputs.slice_columns(group * width, width),
              .y = sums_view.slice_columns(group * width, width),
              .epilogue = {.accumulate = true}});
    }
  }
  grouped_conv1d_finish(kernel, stream_);
}

}  // namespace krait::cuda
