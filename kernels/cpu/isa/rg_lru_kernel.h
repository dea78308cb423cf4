#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/vector_math.h"
#include "kernels/cpu/scan_kernel_args.h"

/// The RG-LRU: channels do not see each other, so every lane is one of them.
namespace krait::cpu {
namespace {

/// One token of sixteen channels: the new state from the old one.
template <typename V>
typename V::F rg_lru_step(typename V::F state, typename V::F x, typename V::F input_gate, typename V::F recurrent_gate,
                          typename V::F coefficient, bool first) {
  const auto log_a = V::mul(coefficient, Math<V>::sigmoid(recurrent_gate));
  auto input = V::mul(Math<V>::sigmoid(input_gate), x);
  if (!first) {
    const auto passed = Math<V>::one_minus_exp(V::mul(V::set1(2.0F), log_a));
    input = V::mul(V::sqrt(passed), input);
  }
  return V::fma(Math<V>::exp(log_a), state, input);
}

template <typename V, typename StateType>
void rg_lru_block(const RgLruKernelArgs& args, Index sequence, Index channel) {
  using Element = typename StateType::Element;
  const SequencesKernelArgs& sequences = args.sequences;
  const Index begin = sequences.query_start_loc[sequence];
  const Index end = sequences.query_start_loc[sequence + 1];
  const Index write = sequences.state_write[sequence];
  if (begin == end || write == 0) return;
  const Index count = smaller(kRgLruChannels, args.channels - channel);
  const auto slot = [&](Index index) {
    return reinterpret_cast<Element*>(args.state.recurrent + index * static_cast<Index>(args.state.slot_stride)) +
           channel;
  };
  const bool fresh = sequences.has_initial_state != nullptr && sequences.has_initial_state[sequence] == 0;
  const Element* from = slot(sequences.state_read[sequence]);
  float states[kRgLruChannels];
  for (Index i = 0; i < count; i += kLanes) {
    V::store(states + i, fresh ? V::zero() : StateType::load(from + i, lanes_left(i, count)));
  }
  for (Index token = begin; token < end; ++token) {
    for (Index i = 0; i < count; i += kLanes) {
      const int n = lanes_left(i, count);
      const Index at = channel + i;
      const auto state = rg_lru_step<V>(V::load(states + i), load<V>(args.x.data + token * args.x.stride + at, n),
                                        load<V>(args.input_gate.data + token * args.input_gate.stride + at, n),
                                        load<V>(args.recurrent_gate.data + token * args.recurrent_gate.stride + at, n),
                                        load<V>(args.a_coefficient + at, n), fresh && token == begin);
      store<V>(args.y.data + token * args.y.stride + at, state, n);
      V::store(states + i, StateType::round(state));
    }
  }
  Element* to = slot(write);
  for (Index i = 0; i < count; i += kLanes) StateType::store(to + i, V::load(states + i), lanes_left(i, count));
}

template <typename V>
void rg_lru(const RgLruKernelArgs& args, Index begin, Index end) {
  const Index blocks = (args.channels + kRgLruChannels - 1) / kRgLruChannels;
  with_stored<V>(args.state.recurrent_dtype, [&](auto stored) {
    for (Index unit = begin; unit < end; ++unit) {
      rg_lru_block<V, decltype(stored)>(args, unit / blocks, unit % blocks * kRgLruChannels);
    }
  });
}

}  // namespace
}  // namespace krait::cpu
