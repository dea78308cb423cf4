#pragma once

#include "kernels/cpu/isa/ssm_kernels.h"
#include "kernels/cpu/scan_kernel_args.h"

/// Mamba-1's recurrence: a row of the state a channel, with its own A and its own dt. The rows run through `update_row`
/// as those of `ssm_scan` and `state_update` do, so a token has the same bits here and there.
namespace krait::cpu {
namespace {

/// A worker's buffers: what `update_row` reads, and a chunk of tokens of one unit's channels. The chunk is read and
/// written a row at a time, because a column of x would meet one cache set.
struct SelectiveScratch {
  SsmScratch row;  ///< b, c, a, sums
  float* x;        ///< [chunk, kSelectiveScanChannels]
  float* dt;       ///< [chunk, kSelectiveScanChannels], after softplus
  float* dtx;      ///< [chunk, kSelectiveScanChannels]
  float* y;        ///< [chunk, kSelectiveScanChannels]
};

template <typename V>
Index selective_scan_scratch(const SelectiveScanKernelArgs& args) {
  return (2 * kSsmChunkTokens + 1) * round_up(args.state_size, kLanes) + kSsmChunkTokens * kLanes +
         4 * kSsmChunkTokens * kSelectiveScanChannels;
}

inline SelectiveScratch selective_scan_layout(const SelectiveScanKernelArgs& args, float* memory) {
  constexpr Index kChunk = kSsmChunkTokens * kSelectiveScanChannels;
  SelectiveScratch s{};
  s.row.width = round_up(args.state_size, kLanes);
  s.row.b = memory;
  s.row.c = s.row.b + kSsmChunkTokens * s.row.width;
  s.row.a = s.row.c + kSsmChunkTokens * s.row.width;
  s.row.sums = s.row.a + s.row.width;
  s.x = s.row.sums + kSsmChunkTokens * kLanes;
  s.dt = s.x + kChunk;
  s.dtx = s.dt + kChunk;
  s.y = s.dtx + kChunk;
  return s;
}

/// x, dt and their product for the channels [first, last) of a chunk.
template <typename V>
void load_channels(const SelectiveScanKernelArgs& args, const SelectiveScratch& s, Index first, Index last, Index token,
                   Index tokens) {
  for (Index t = 0; t < tokens; ++t) {
    for (Index channel = first; channel < last; channel += kLanes) {
      const int n = lanes_left(channel, last);
      const Index at = t * kSelectiveScanChannels + channel - first;
      const auto x = load<V>(args.x.data + (token + t) * args.x.stride + channel, n);
      auto dt = load<V>(args.dt.data + (token + t) * args.dt.stride + channel, n);
      if (args.dt_bias != nullptr) dt = V::add(dt, load<V>(args.dt_bias + channel, n));
      dt = discretise<V>(dt, true, 0.0F, 0.0F);
      V::store(s.x + at, x);
      V::store(s.dt + at, dt);
      V::store(s.dtx + at, V::mul(dt, x));
    }
  }
}

/// y of a chunk: the sums and the skip connection.
template <typename V>
void store_channels(const SelectiveScanKernelArgs& args, const SelectiveScratch& s, Index first, Index last,
                    Index token, Index tokens) {
  for (Index t = 0; t < tokens; ++t) {
    for (Index channel = first; channel < last; channel += kLanes) {
      const int n = lanes_left(channel, last);
      const Index at = t * kSelectiveScanChannels + channel - first;
      auto y = V::load(s.y + at);
      if (args.d != nullptr) y = V::fma(load<V>(args.d + channel, n), V::load(s.x + at), y);
      store<V>(args.y.data + (token + t) * args.y.stride + channel, y, n);
    }
  }
}

/// Channel `channel`, number `index` of its unit, through a chunk of tokens.
template <typename V, typename StateType, typename Rounding>
void scan_channel(const SelectiveScanKernelArgs& args, const SelectiveScratch& s, const Rounding& rounding,
                  Index channel, Index index, const typename StateType::Element* from, typename StateType::Element* to,
                  bool fresh, Index tokens) {
  float dt[kSsmChunkTokens];
  float dtx[kSsmChunkTokens];
  for (Index t = 0; t < tokens; ++t) {
    dt[t] = s.dt[t * kSelectiveScanChannels + index];
    dtx[t] = s.dtx[t * kSelectiveScanChannels + index];
  }
  copy_padded<V>(args.a + channel * args.state_size, s.row.a, args.state_size);
  update_row<V, StateType>(s.row, from, to, args.state_size, fresh, dtx, tokens, ElementDecay<V>{s.row.a, dt},
                           rounding);
  for (Index t = 0; t < tokens; ++t) {
    s.y[t * kSelectiveScanChannels + index] = V::reduce_add(V::load(s.row.sums + t * kLanes));
  }
}

template <typename V, typename StateType, typename Rounding>
void scan_channels(const SelectiveScanKernelArgs& args, const SelectiveScratch& s, const Rounding& rounding,
                   Index sequence, Index first, Index last) {
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
  const Index start = first_position(sequences, sequence) - sequences.query_start_loc[sequence];
  for (Index token = sequences.query_start_loc[sequence]; token < end; token += kSsmChunkTokens) {
    const Index tokens = smaller(kSsmChunkTokens, end - token);
    load_channels<V>(args, s, first, last, token, tokens);
    Index loaded = -1;
    for (Index channel = first; channel < last; ++channel) {
      const Index group = channel / group_channels;
      if (group != loaded) {
        loaded = group;
        for (Index t = 0; t < tokens; ++t) {
          const Index column = group * args.state_size;
          copy_padded<V>(args.b.data + (token + t) * args.b.stride + column, s.row.b + t * s.row.width,
                         args.state_size);
          copy_padded<V>(args.c.data + (token + t) * args.c.stride + column, s.row.c + t * s.row.width,
                         args.state_size);
        }
      }
      const Index row = channel * args.state_size;
      scan_channel<V, StateType>(args, s, rounding.row(channel, start + token), channel, channel - first, from + row,
                                 to + row, fresh, tokens);
    }
    store_channels<V>(args, s, first, last, token, tokens);
    from = to;
    fresh = false;
  }
}

template <typename V>
void selective_scan(const SelectiveScanKernelArgs& args, Index begin, Index end, float* scratch) {
  const SelectiveScratch s = selective_scan_layout(args, scratch);
  const Index blocks = (args.channels + kSelectiveScanChannels - 1) / kSelectiveScanChannels;
  with_rounded_state<V>(args.state, [&](auto stored, const auto& rounding) {
    for (Index unit = begin; unit < end; ++unit) {
      const Index first = unit % blocks * kSelectiveScanChannels;
      scan_channels<V, decltype(stored)>(args, s, rounding, unit / blocks, first,
                                         smaller(first + kSelectiveScanChannels, args.channels));
    }
  });
}

}  // namespace
}  // namespace krait::cpu
