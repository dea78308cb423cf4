#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"

namespace krait::cpu {
namespace {

/// The last K - 1 inputs of a block of channels, oldest first, as the state would hold them: rounded to its type. A
/// token sees its own input unrounded and its predecessors' rounded, so that it does not matter which of them came in
/// an earlier call.
template <typename V>
struct ConvWindow {
  float* rows = nullptr;  ///< [taps, kConvBlockChannels], a ring
  Index taps = 0;         ///< K - 1
  Index oldest = 0;

  [[nodiscard]] float* row(Index age_from_oldest) const {
    Index index = oldest + age_from_oldest;
    if (index >= taps) index -= taps;
    return rows + index * kConvBlockChannels;
  }
  /// Drops the oldest row and returns its place for the newest.
  float* push() {
    float* freed = row(0);
    oldest = oldest + 1 == taps ? 0 : oldest + 1;
    return freed;
  }
};

template <typename V>
Index conv_scratch(const ConvKernelArgs& args) {
  return larger(args.kernel - 1, 1) * kConvBlockChannels;
}

/// One token for the channels of one block: y = act(bias + sum over k of w[k] x[k]), k from the oldest on.
template <typename V, typename StateType>
void conv_token(const ConvKernelArgs& args, ConvWindow<V>& window, Index token, Index channel, Index count) {
  const float* x = args.x.data + token * args.x.stride + channel;
  float* out = args.out.data + token * args.out.stride + channel;
  const float* weight = args.weight.data + channel;
  for (Index i = 0; i < count; i += kLanes) {
    const int n = lanes_left(i, count);
    auto sum = args.bias != nullptr ? load<V>(args.bias + channel + i, n) : V::zero();
    for (Index k = 0; k < window.taps; ++k) {
      sum = V::fma(load<V>(weight + k * args.weight.stride + i, n), V::load(window.row(k) + i), sum);
    }
    sum = V::fma(load<V>(weight + window.taps * args.weight.stride + i, n), load<V>(x + i, n), sum);
    store<V>(out + i, args.silu ? Math<V>::silu(sum) : sum, n);
  }
  if (window.taps == 0) return;
  float* newest = window.push();
  for (Index i = 0; i < count; i += kLanes) {
    V::store(newest + i, StateType::round(load<V>(x + i, lanes_left(i, count))));
  }
}

template <typename V, typename StateType>
void conv_block(const ConvKernelArgs& args, Index sequence, Index channel, float* scratch) {
  using Element = typename StateType::Element;
  const SequencesKernelArgs& sequences = args.sequences;
  const Index begin = sequences.query_start_loc[sequence];
  const Index end = sequences.query_start_loc[sequence + 1];
  const Index write = sequences.state_write[sequence];
  if (begin == end || write == 0) return;
  const Index count = smaller(kConvBlockChannels, args.channels - channel);
  const auto slot = [&](Index index) {
    return reinterpret_cast<Element*>(args.state.conv + index * static_cast<Index>(args.state.slot_stride)) + channel;
  };
  const bool fresh = sequences.has_initial_state != nullptr && sequences.has_initial_state[sequence] == 0;
  const Element* from = slot(sequences.state_read[sequence]);
  ConvWindow<V> window{.rows = scratch, .taps = args.kernel - 1};
  for (Index k = 0; k < window.taps; ++k) {
    for (Index i = 0; i < count; i += kLanes) {
      const int n = lanes_left(i, count);
      auto value = V::zero();
      if (!fresh) {
        value = StateType::load(from + k * args.channels + i, n);
      } else if (args.initial != nullptr) {
        value = StateType::round(load<V>(args.initial + channel + i, n));
      }
      V::store(window.row(k) + i, value);
    }
  }
  for (Index token = begin; token < end; ++token) conv_token<V, StateType>(args, window, token, channel, count);
  Element* to = slot(write);
  for (Index k = 0; k < window.taps; ++k) {
    for (Index i = 0; i < count; i += kLanes) {
      StateType::store(to + k * args.channels + i, V::load(window.row(k) + i), lanes_left(i, count));
    }
  }
}

/// Unit u is (sequence, channel block), the block fastest.
template <typename V>
void conv(const ConvKernelArgs& args, Index begin, Index end, float* scratch) {
  const Index blocks = (args.channels + kConvBlockChannels - 1) / kConvBlockChannels;
  with_stored<V>(args.state.conv_dtype, [&](auto stored) {
    for (Index unit = begin; unit < end; ++unit) {
      conv_block<V, decltype(stored)>(args, unit / blocks, unit % blocks * kConvBlockChannels, scratch);
    }
  });
}

}  // namespace
}  // namespace krait::cpu
