#pragma once

#include "kernels/cpu/isa/convert.h"
#include "kernels/cpu/isa/state_rounding.h"
#include "kernels/cpu/isa/vector_math.h"

/// The selective state space recurrence, token by token. For each state row (head, p) and each vector v of its state:
///   s = fma(s, decay, (dt x) B);  s = rounded to the state's type;  y = sum over v (in order) of lanes fma(s, C), then
///   one tree
/// with the sum taken before the rounding. `ssm_scan`, `selective_scan` and `state_update` share `update_row`, so they
/// give the same bits.
namespace krait::cpu {
namespace {

/// A worker's buffers: one chunk of tokens of one head.
struct SsmScratch {
  float* b;      ///< [chunk, width]
  float* c;      ///< [chunk, width]
  float* a;      ///< [width]: a row of A where it is no scalar
  float* sums;   ///< [chunk, 16]
  float* dt;     ///< [16]
  float* decay;  ///< [16]
  float* x;      ///< [head_dim, chunk]: transposed, because a column of x would meet one cache set
  float* y;      ///< [head_dim, chunk]
  Index width;   ///< state_size rounded up to whole vectors, the rest zero
};

template <typename V>
Index ssm_scratch(const SsmKernelArgs& args) {
  return (2 * kSsmChunkTokens + 1) * round_up(args.state_size, kLanes) + (kSsmChunkTokens + 2) * kLanes +
         2 * args.head_dim * kSsmChunkTokens;
}

inline SsmScratch ssm_layout(const SsmKernelArgs& args, float* memory) {
  SsmScratch s{};
  s.width = round_up(args.state_size, kLanes);
  s.b = memory;
  s.c = s.b + kSsmChunkTokens * s.width;
  s.a = s.c + kSsmChunkTokens * s.width;
  s.sums = s.a + s.width;
  s.dt = s.sums + kSsmChunkTokens * kLanes;
  s.decay = s.dt + kLanes;
  s.x = s.decay + kLanes;
  s.y = s.x + args.head_dim * kSsmChunkTokens;
  return s;
}

template <typename V>
void copy_padded(const float* from, float* to, Index n) {
  for (Index i = 0; i < n; i += kLanes) V::store(to + i, load<V>(from + i, lanes_left(i, n)));
}

/// clamp(softplus(dt), dt_min, dt_max); a limit of 0 above means none, a NaN passes.
template <typename V>
typename V::F discretise(typename V::F dt, bool softplus, float dt_min, float dt_max) {
  if (softplus) dt = Math<V>::softplus(dt);
  const auto low = V::set1(dt_min);
  dt = V::select(V::lt(dt, low), low, dt);
  if (dt_max > 0.0F) {
    const auto high = V::set1(dt_max);
    dt = V::select(V::lt(high, dt), high, dt);
  }
  return dt;
}

/// One scalar decay a token for the whole head (Mamba-2).
template <typename V>
struct HeadDecay {
  const float* decay;
  typename V::F operator()(Index token, Index) const { return V::set1(decay[token]); }
};

/// exp(dt A) for each element of the row (Mamba-1).
template <typename V>
struct ElementDecay {
  const float* a;
  const float* dt;
  typename V::F operator()(Index token, Index column) const {
    return Math<V>::exp(V::mul(V::set1(dt[token]), V::load(a + column)));
  }
};

/// Runs kCount neighbouring vectors of one state row through `tokens` tokens, adding to the tokens' lane sums. The
/// vectors of a row are added in order; two at a time only save traffic.
template <typename V, typename StateType, int kCount, typename Decay, typename Rounding>
void run_vectors(const SsmScratch& s, const typename StateType::Element* from, typename StateType::Element* to,
                 Index column, Index state_size, bool fresh, const float* dtx, Index tokens, const Decay& decay,
                 const Rounding& rounding) {
  typename V::F state[kCount];
  for (int i = 0; i < kCount; ++i) {
    const Index at = column + i * kLanes;
    state[i] = fresh ? V::zero() : StateType::load(from + at, lanes_left(at, state_size));
  }
  for (Index t = 0; t < tokens; ++t) {
    auto sum = column == 0 ? V::zero() : V::load(s.sums + t * kLanes);
    const auto input = V::set1(dtx[t]);
    for (int i = 0; i < kCount; ++i) {
      const Index at = column + i * kLanes;
      const auto added = V::mul(input, V::load(s.b + t * s.width + at));
      state[i] = V::fma(state[i], decay(t, at), added);
      sum = V::fma(state[i], V::load(s.c + t * s.width + at), sum);
      state[i] = rounding.template round<V, StateType>(state[i], t, at);
    }
    V::store(s.sums + t * kLanes, sum);
  }
  for (int i = 0; i < kCount; ++i) {
    const Index at = column + i * kLanes;
    StateType::store(to + at, state[i], lanes_left(at, state_size));
  }
}

/// One state row through up to kSsmChunkTokens tokens. `from` may be `to`.
template <typename V, typename StateType, typename Decay, typename Rounding>
void update_row(const SsmScratch& s, const typename StateType::Element* from, typename StateType::Element* to,
                Index state_size, bool fresh, const float* dtx, Index tokens, const Decay& decay,
                const Rounding& rounding) {
  Index column = 0;
  for (; column + 2 * kLanes <= s.width; column += 2 * kLanes) {
    run_vectors<V, StateType, 2>(s, from, to, column, state_size, fresh, dtx, tokens, decay, rounding);
  }
  if (column < s.width)
    run_vectors<V, StateType, 1>(s, from, to, column, state_size, fresh, dtx, tokens, decay, rounding);
}

/// What all rows of a head need of a chunk's tokens: dt, exp(dt A), x, B and C.
template <typename V>
void prepare_chunk(const SsmKernelArgs& args, const SsmScratch& s, Index head, Index token, Index tokens) {
  float raw[kLanes] = {};
  for (Index t = 0; t < tokens; ++t) raw[t] = args.dt.data[(token + t) * args.dt.stride + head];
  auto dt = V::load(raw);
  if (args.dt_bias != nullptr) dt = V::add(dt, V::set1(args.dt_bias[head]));
  dt = discretise<V>(dt, true, args.dt_min, args.dt_max);
  V::store(s.dt, dt);
  V::store(s.decay, Math<V>::exp(V::mul(dt, V::set1(args.a[head]))));
  const Index group = head / (args.heads / args.groups);
  for (Index t = 0; t < tokens; ++t) {
    const float* x = args.x.data + (token + t) * args.x.stride + head * args.head_dim;
    for (Index p = 0; p < args.head_dim; ++p) s.x[p * kSsmChunkTokens + t] = x[p];
    copy_padded<V>(args.b.data + (token + t) * args.b.stride + group * args.state_size, s.b + t * s.width,
                   args.state_size);
    copy_padded<V>(args.c.data + (token + t) * args.c.stride + group * args.state_size, s.c + t * s.width,
                   args.state_size);
  }
}

template <typename V, typename StateType, typename Rounding>
void scan_head(const SsmKernelArgs& args, const SsmScratch& s, const Rounding& rounding, Index sequence, Index head) {
  using Element = typename StateType::Element;
  const SequencesKernelArgs& sequences = args.sequences;
  const Index end = sequences.query_start_loc[sequence + 1];
  const Index write = sequences.state_write[sequence];
  if (write == 0) return;
  const auto slot = [&](Index index) {
    std::byte* bytes = args.state.recurrent + index * static_cast<Index>(args.state.slot_stride);
    return reinterpret_cast<Element*>(bytes) + head * args.head_dim * args.state_size;
  };
  bool fresh = sequences.has_initial_state != nullptr && sequences.has_initial_state[sequence] == 0;
  const Element* from = slot(sequences.state_read[sequence]);
  Element* to = slot(write);
  const Index start = first_position(sequences, sequence) - sequences.query_start_loc[sequence];
  for (Index token = sequences.query_start_loc[sequence]; token < end; token += kSsmChunkTokens) {
    const Index tokens = smaller(kSsmChunkTokens, end - token);
    prepare_chunk<V>(args, s, head, token, tokens);
    for (Index p = 0; p < args.head_dim; ++p) {
      const float* x = s.x + p * kSsmChunkTokens;
      float dtx[kSsmChunkTokens];
      for (Index t = 0; t < tokens; ++t) dtx[t] = s.dt[t] * x[t];
      update_row<V, StateType>(s, from + p * args.state_size, to + p * args.state_size, args.state_size, fresh, dtx,
                               tokens, HeadDecay<V>{s.decay}, rounding.row(head * args.head_dim + p, start + token));
      for (Index t = 0; t < tokens; ++t) {
        const float sum = V::reduce_add(V::load(s.sums + t * kLanes));
        s.y[p * kSsmChunkTokens + t] = args.d != nullptr ? __builtin_fmaf(args.d[head], x[t], sum) : sum;
      }
    }
    for (Index t = 0; t < tokens; ++t) {
      float* y = args.y.data + (token + t) * args.y.stride + head * args.head_dim;
      for (Index p = 0; p < args.head_dim; ++p) y[p] = s.y[p * kSsmChunkTokens + t];
    }
    from = to;
    fresh = false;
  }
}

/// Unit u is (sequence, head), the head fastest.
template <typename V>
void ssm_scan(const SsmKernelArgs& args, Index begin, Index end, float* scratch) {
  const SsmScratch s = ssm_layout(args, scratch);
  with_rounded_state<V>(args.state, [&](auto stored, const auto& rounding) {
    for (Index unit = begin; unit < end; ++unit) {
      scan_head<V, decltype(stored)>(args, s, rounding, unit / args.heads, unit % args.heads);
    }
  });
}

}  // namespace
}  // namespace krait::cpu
