#include <algorithm>
#include <cstring>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/sequence_checks.h"

/// The grouped convolution as one matrix product for each tap and group, over the inputs shifted by the tap. The taps
/// are added in order, the oldest first, so a token's bits depend neither on the cut nor on the batch.
namespace krait::cpu {
namespace {

/// A token that is not padding.
struct ConvToken {
  Index row = 0;       ///< of x
  Index position = 0;  ///< in its sequence's tokens
  Index sequence = 0;
};

std::vector<ConvToken> tokens_of(const SequencesKernelArgs& sequences, Index count) {
  std::vector<ConvToken> tokens;
  for (Index i = 0; i < count; ++i) {
    if (sequences.state_write[i] == 0) continue;
    const Index begin = sequences.query_start_loc[i];
    for (Index row = begin; row < sequences.query_start_loc[i + 1]; ++row) tokens.push_back({row, row - begin, i});
  }
  return tokens;
}

/// The inputs of a batch as its tokens see them: their own unrounded, older ones as the state holds them.
struct ConvHistory {
  const KernelTable& kernels;
  ConstRows x;
  const float* initial;
  Index taps;  ///< rows of the state: kernel - 1
  Index channels;
  SequencesKernelArgs sequences;
  StateCacheView state;

  [[nodiscard]] std::byte* state_row(Index slot, Index row) const {
    const auto width = static_cast<std::size_t>(channels) * dtype_size(state.conv_dtype);
    return state.conv + static_cast<std::size_t>(slot) * state.slot_stride + static_cast<std::size_t>(row) * width;
  }
  /// A row in the state's type and back.
  void round(const float* from, float* to, float* scratch) const {
    kernels.convert_row(state.conv_dtype, true, from, scratch, channels);
    kernels.convert_row(state.conv_dtype, false, scratch, to, channels);
  }
  /// What `token` sees of the token `age` before it. `scratch` has room for a row.
  void read(const ConvToken& token, Index age, float* to, float* scratch) const {
    const auto bytes = static_cast<std::size_t>(channels) * sizeof(float);
    if (age == 0) {
      std::memcpy(to, x.data + token.row * x.stride, bytes);
    } else if (age <= token.position) {
      round(x.data + (token.row - age) * x.stride, to, scratch);
    } else if (sequences.has_initial_state[token.sequence] != 0) {
      const Index row = taps + token.position - age;
      kernels.convert_row(state.conv_dtype, false, state_row(sequences.state_read[token.sequence], row), to, channels);
    } else if (initial != nullptr) {
      round(initial, to, scratch);
    } else {
      std::memset(to, 0, bytes);
    }
  }
  /// Leaves the state after the tokens of a sequence. Rows move towards the front, so the slots may be the same.
  void write(Index sequence) const {
    const Index begin = sequences.query_start_loc[sequence];
    const Index end = sequences.query_start_loc[sequence + 1];
    const Index slot = sequences.state_write[sequence];
    if (begin == end || slot == 0) return;
    for (Index row = 0; row < taps; ++row) {
      std::byte* to = state_row(slot, row);
      const Index token = end - taps + row;
      const auto bytes = static_cast<std::size_t>(channels) * dtype_size(state.conv_dtype);
      if (token >= begin) {
        kernels.convert_row(state.conv_dtype, true, x.data + token * x.stride, to, channels);
      } else if (sequences.has_initial_state[sequence] != 0) {
        std::memmove(to, state_row(sequences.state_read[sequence], row + end - begin), bytes);
      } else if (initial != nullptr) {
        kernels.convert_row(state.conv_dtype, true, initial, to, channels);
      } else {
        std::memset(to, 0, bytes);
      }
    }
  }
};

}  // namespace

void CpuOperations::grouped_causal_conv1d(const GroupedCausalConv1dArgs& args) {
  const Index sequences = num_sequences(args.batch);
  if (sequences == 0) return;
  const Index rows = args.batch.query_start_loc.back();
  const Index channels = args.x.columns();
  require(args.kernel >= 1 && args.groups >= 1 && channels % args.groups == 0, "groups or taps of the convolution");
  require(args.weights.size() == static_cast<std::size_t>(args.groups) * static_cast<std::size_t>(args.kernel),
          "weights of the convolution");
  require(is_kernel_float(args.state.conv_dtype) && (args.kernel == 1 || args.state.conv != nullptr),
          "convolution state");
  const ConvHistory history{.kernels = kernels_,
                            .x = const_matrix(args.x, rows, channels, "x of the convolution"),
                            .initial = vector_or_null(args.initial, channels, "initial inputs of the convolution"),
                            .taps = args.kernel - 1,
                            .channels = channels,
                            .sequences = sequences_of(args.batch),
                            .state = args.state};
  const Rows out = matrix(args.out, rows, channels, "convolution out");
  const float* bias = vector_or_null(args.bias, channels, "convolution bias");
  const std::vector<ConvToken> tokens = tokens_of(history.sequences, sequences);
  const auto count = static_cast<Index>(tokens.size());
  if (count == 0) return;

  float* shifted = conv_rows_.ensure(2 * count * channels);
  float* sums = shifted + count * channels;
  const TensorView shifted_view(shifted, DType::kFloat32, Shape{count, channels});
  const TensorView sums_view(sums, DType::kFloat32, Shape{count, channels});
  for (Index i = 0; i < count; ++i) {
    if (bias != nullptr) {
      std::copy(bias, bias + channels, sums + i * channels);
    } else {
      std::fill(sums + i * channels, sums + (i + 1) * channels, 0.0F);
    }
  }
  conv_rounded_.resize(static_cast<std::size_t>(args.groups));
  const Index width = channels / args.groups;
  for (Index tap = 0; tap < args.kernel; ++tap) {
    const std::vector<float*> scratch = worker_scratch(channels);
    pool_.parallel_for(count, [&](Index begin, Index end, int worker) {
      for (Index i = begin; i < end; ++i) {
        history.read(tokens[static_cast<std::size_t>(i)], args.kernel - 1 - tap, shifted + i * channels,
                     scratch[static_cast<std::size_t>(worker)]);
      }
    });
    std::vector<GemmArgs> products;
    for (Index group = 0; group < args.groups; ++group) {
      const PackedWeight& weight = args.weights[static_cast<std::size_t>(group * args.kernel + tap)];
      require(weight.defined(), "a grouped convolution without a weight");
      const Index column = group * width;
      const GemmInput input = gemm_input(shifted_view.slice_columns(column, width), input_form(weight),
                                         conv_rounded_[static_cast<std::size_t>(group)]);
      products.push_back(prepare_gemm(weight, input, sums_view.slice_columns(column, width), {.accumulate = true}));
    }
    run_gemms(products);
  }
  for (Index i = 0; i < count; ++i) {
    std::copy(sums + i * channels, sums + (i + 1) * channels,
              out.data + tokens[static_cast<std::size_t>(i)].row * out.stride);
  }
  for (Index i = 0; i < sequences; ++i) history.write(i);
}

}  // namespace krait::cpu
