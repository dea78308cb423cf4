#pragma once

#include "kernels/cpu/isa/ssm_kernels.h"
#include "kernels/cpu/scan_kernel_args.h"

/// Mamba-1's recurrence: a row of the state a channel, with its own A and its own dt. The rows run through `update_row`
/// as those of `ssm_scan` and `state_update` do, so a token has the same bits here and there.
namespace krait::cpu {
namespace {

/// The part of SsmScratch that this kernel uses, and a chunk's values of one channel.
template <typename V>
Index selective_scan_scratch(const SelectiveScanKernelArgs& args) {
  return (2 * kSsmChunkTokens + 1) * round_up(args.state_size, kLanes) + kSsmChunkTokens * kLanes + kLanes;
}

inline SsmScratch selective_scan_layout(const SelectiveScanKernelArgs& args, float* memory) {
  SsmScratch s{};
  s.width = round_up(args.state_size, kLanes);
  s.b = memory;
  s.c = s.b + kSsmChunkTokens * s.width;
  s.a = s.c + kSsmChunkTokens * s.width;
  s.sums = s.a + s.width;
  s.dt = s.sums + kSsmChunkTokens * kLanes;
  return s;
}

/// One channel through a chunk of tokens.
template <typename V, typename StateType>
void scan_channel(const SelectiveScanKernelArgs& args, const SsmScratch& s, Index channel,
                  const typename StateType::Element* from, typename StateType::Element* to, bool fresh, Index token,
                  Index tokens) {
  float raw[kLanes] = {};
  float x[kSsmChunkTokens];
  float dtx[kSsmChunkTokens];
  for (Index t = 0; t < tokens; ++t) {
    raw[t] = args.dt.data[(token + t) * args.dt.stride + channel];
    x[t] = args.x.data[(token + t) * args.x.stride + channel];
  }
  auto dt = V::load(raw);
  if (args.dt_bias != nullptr) dt = V::add(dt, V::set1(args.dt_bias[channel]));
  V::store(s.dt, discretise<V>(dt, true, 0.0F, 0.0F));
  for (Index t = 0; t < tokens; ++t) dtx[t] = s.dt[t] * x[t];
  copy_padded<V>(args.a + channel * args.state_size, s.a, args.state_size);
  update_row<V, StateType>(s, from, to, args.state_size, fresh, dtx, tokens, ElementDecay<V>{s.a, s.dt});
  for (Index t = 0; t < tokens; ++t) {
    const float sum = V::reduce_add(V::load(s.sums + t * kLanes));
    args.y.data[(token + t) * args.y.stride + channel] =
        args.d != nullptr ? __builtin_fmaf(args.d[channel], x[t], sum) : sum;
  }
}

template <typename V, typename StateType>
void scan_channels(const SelectiveScanKernelArgs& args, const SsmScratch& s, Index sequence, Index first, Index last) {
  using Element = typename StateType::Element;
  const SequencesKernelArgs& sequences = args.sequences;
  const Index end = sequences.query_start_loc[sequence + 1];
  const Index write = sequences.state_write[sequence];
  if (write == 0) return;
  const auto slot = [&](Index index) {
    return reinterpret_cast<Element*>(args.state.recurrent + index * static_cast<Index>(args.state.slot_stride));
  };
  bool fresh = sequences.has_initial_state != nullptr && sequences.has_initial_state[sequence] == 0;
  const Element* from = slot(sequences.state_read[sequence]);
  Element* to = slot(write);
  const Index group_channels = args.channels / args.groups;
  for (Index token = sequences.query_start_loc[sequence]; token < end; token += kSsmChunkTokens) {
    const Index tokens = smaller(kSsmChunkTokens, end - token);
    Index loaded = -1;
    for (Index channel = first; channel < last; ++channel) {
      const Index group = channel / group_channels;
      if (group != loaded) {
        loaded = group;
        for (Index t = 0; t < tokens; ++t) {
          const Index column = group * args.state_size;
          copy_padded<V>(args.b.data + (token + t) * args.b.stride + column, s.b + t * s.width, args.state_size);
          copy_padded<V>(args.c.data + (token + t) * args.c.stride + column, s.c + t * s.width, args.state_size);
        }
      }
      const Index row = channel * args.state_size;
      scan_channel<V, StateType>(args, s, channel, from + row, to + row, fresh, token, tokens);
    }
    from = to;
    fresh = false;
  }
}

template <typename V>
void selective_scan(const SelectiveScanKernelArgs& args, Index begin, Index end, float* scratch) {
  const SsmScratch s = selective_scan_layout(args, scratch);
  const Index blocks = (args.channels + kSelectiveScanChannels - 1) / kSelectiveScanChannels;
  with_stored<V>(args.state.recurrent_dtype, [&](auto stored) {
    for (Index unit = begin; unit < end; ++unit) {
      const Index first = unit % blocks * kSelectiveScanChannels;
      scan_channels<V, decltype(stored)>(args, s, unit / blocks, first,
                                         smaller(first + kSelectiveScanChannels, args.channels));
    }
  });
}

}  // namespace
}  // namespace krait::cpu
