#pragma once

#include "kernels/cpu/isa/ssm_kernels.h"

namespace krait::cpu {
namespace {

/// One (sequence, head) of the general update: its tokens, one after another.
template <typename V, typename StateType, typename Rounding>
struct StateUpdate {
  using Element = typename StateType::Element;
  const StateUpdateKernelArgs& args;
  const SsmScratch& s;
  const Rounding& rounding;
  Index sequence;
  Index head;

  /// dt of one state row, or of the head.
  [[nodiscard]] float dt(Index row, Index p) const {
    const SsmKernelArgs& ssm = args.ssm;
    const Index index = args.dt_per_row ? head * ssm.head_dim + p : head;
    auto dt = V::set1(ssm.dt.data[row * ssm.dt.stride + index]);
    if (ssm.dt_bias != nullptr) dt = V::add(dt, V::set1(ssm.dt_bias[index]));
    float lanes[kLanes];
    V::store(lanes, discretise<V>(dt, args.dt_softplus, ssm.dt_min, ssm.dt_max));
    return lanes[0];
  }

  void load_inputs(Index row) const {
    const SsmKernelArgs& ssm = args.ssm;
    const Index group = head / (ssm.heads / ssm.groups);
    copy_padded<V>(ssm.b.data + row * ssm.b.stride + group * ssm.state_size, s.b, ssm.state_size);
    copy_padded<V>(ssm.c.data + row * ssm.c.stride + group * ssm.state_size, s.c, ssm.state_size);
  }

  /// Mamba-2: all rows of a head decay alike.
  [[nodiscard]] bool one_decay() const {
    return args.a_stride_state == 0 && args.a_stride_row == 0 && !args.dt_per_row;
  }
  void set_decay(float a, float step) const { V::store(s.decay, Math<V>::exp(V::mul(V::set1(step), V::set1(a)))); }

  void update(Index p, const Element* from, Element* to, bool fresh, float dtx, float step, Index position) const {
    const SsmKernelArgs& ssm = args.ssm;
    const float* a = ssm.a + head * args.a_stride_head + p * args.a_stride_row;
    const auto rounded = rounding.row(head * ssm.head_dim + p, position);
    if (args.a_stride_state == 0) {
      if (!one_decay()) set_decay(a[0], step);
      update_row<V, StateType>(s, from, to, ssm.state_size, fresh, &dtx, 1, HeadDecay<V>{s.decay}, rounded);
      return;
    }
    for (Index n = 0; n < ssm.state_size; ++n) s.a[n] = a[n * args.a_stride_state];
    for (Index n = ssm.state_size; n < s.width; ++n) s.a[n] = 0.0F;
    update_row<V, StateType>(s, from, to, ssm.state_size, fresh, &dtx, 1, ElementDecay<V>{s.a, &step}, rounded);
  }

  /// State rows [first, end).
  void run(Index first, Index end) const {
    const SsmKernelArgs& ssm = args.ssm;
    const auto slot = [&](Index index) {
      std::byte* bytes = ssm.state.recurrent + index * static_cast<Index>(ssm.state.slot_stride);
      return reinterpret_cast<Element*>(bytes) + head * ssm.head_dim * ssm.state_size;
    };
    const std::uint8_t* initial = ssm.sequences.has_initial_state;
    bool fresh = initial != nullptr && initial[sequence] == 0;
    const Element* from = slot(ssm.sequences.state_read[sequence]);
    const Index position = first_position(ssm.sequences, sequence);
    for (Index t = 0; t < args.tokens; ++t) {
      const Index row = sequence * args.tokens + t;
      const Index write = ssm.sequences.state_write[row];
      if (write == 0) return;
      Element* to = slot(write);
      run_token(row, first, end, from, to, fresh, position + t);
      from = to;
      fresh = false;
    }
  }

  void run_token(Index row, Index first, Index end, const Element* from, Element* to, bool fresh,
                 Index position) const {
    const SsmKernelArgs& ssm = args.ssm;
    load_inputs(row);
    float step = args.dt_per_row ? 0.0F : dt(row, 0);
    if (one_decay()) set_decay(ssm.a[head * args.a_stride_head], step);
    for (Index p = first; p < end; ++p) {
      const Index column = head * ssm.head_dim + p;
      const float x = ssm.x.data[row * ssm.x.stride + column];
      if (args.dt_per_row) step = dt(row, p);
      update(p, from + p * ssm.state_size, to + p * ssm.state_size, fresh, step * x, step, position);
      float y = V::reduce_add(V::load(s.sums));
      if (ssm.d != nullptr) y = __builtin_fmaf(ssm.d[head * args.d_stride_head + p * args.d_stride_row], x, y);
      ssm.y.data[row * ssm.y.stride + column] = y;
    }
    if (args.z.data == nullptr) return;
    float* y = ssm.y.data + row * ssm.y.stride + head * ssm.head_dim;
    const float* z = args.z.data + row * args.z.stride + head * ssm.head_dim;
    for (Index p = first; p < end; p += kLanes) {
      const int n = lanes_left(p, end);
      store<V>(y + p, V::mul(load<V>(y + p, n), Math<V>::silu(load<V>(z + p, n))), n);
    }
  }
};

template <typename V>
void state_update(const StateUpdateKernelArgs& args, Index begin, Index end, float* scratch) {
  const SsmScratch s = ssm_layout(args.ssm, scratch);
  const Index blocks = (args.ssm.head_dim + kStateUpdateRows - 1) / kStateUpdateRows;
  with_rounded_state<V>(args.ssm.state, [&](auto stored, const auto& rounding) {
    for (Index unit = begin; unit < end; ++unit) {
      const Index first = unit % blocks * kStateUpdateRows;
      const Index pair = unit / blocks;
      const StateUpdate<V, decltype(stored), std::decay_t<decltype(rounding)>> update{
          args, s, rounding, pair / args.ssm.heads, pair % args.ssm.heads};
      update.run(first, smaller(first + kStateUpdateRows, args.ssm.head_dim));
    }
  });
}

}  // namespace
}  // namespace krait::cpu
