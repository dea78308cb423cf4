#pragma once

#include "kernels/cpu/isa/activation_kernels.h"
#include "kernels/cpu/isa/convert.h"

/// Operations on each element alone: units are blocks of a row's columns, and how they are cut changes no bit.
namespace krait::cpu {
namespace {

/// Calls fn(row, first column, past the last column) for each unit.
template <typename Fn>
void for_element_blocks(Index columns, Index begin, Index end, Fn fn) {
  const Index blocks = (columns + kElementBlockColumns - 1) / kElementBlockColumns;
  for (Index unit = begin; unit < end; ++unit) {
    const Index first = unit % blocks * kElementBlockColumns;
    fn(unit / blocks, first, smaller(first + kElementBlockColumns, columns));
  }
}

/// out[i] = scale * (x[i] * factor(i, lanes)), or is added to it, for columns [first, end).
template <typename V, typename Factor>
void gate_columns(const GateKernelArgs& args, Index row, Index first, Index end, const Factor& factor) {
  const float* x = args.x.data + row * args.x.stride;
  float* out = args.out.data + row * args.out.stride;
  const auto scale = V::set1(args.scale);
  for (Index i = first; i < end; i += kLanes) {
    const int n = lanes_left(i, end);
    auto y = V::mul(scale, V::mul(load<V>(x + i, n), factor(i, n)));
    if (args.accumulate) y = V::add(load<V>(out + i, n), y);
    store<V>(out + i, y, n);
  }
}

template <typename V>
void gate(const GateKernelArgs& args, Index begin, Index end) {
  with_activation<V>(args.activation, [&](auto act) {
    for_element_blocks(args.columns, begin, end, [&](Index row, Index first, Index last) {
      const float* gates = args.gate.data + row * args.gate.stride;
      if (args.gate_width == 1) {
        gate_columns<V>(args, row, first, last, [&](Index i, int n) { return act(load<V>(gates + i, n)); });
        return;
      }
      const Index gate_end = (last - 1) / args.gate_width + 1;
      for (Index g = first / args.gate_width; g < gate_end; g += kLanes) {
        const int n = lanes_left(g, gate_end);
        float activated[kLanes];
        V::store(activated, act(load<V>(gates + g, n)));
        for (Index i = g; i < g + n; ++i) {
          const auto factor = V::set1(activated[i - g]);
          gate_columns<V>(args, row, larger(first, i * args.gate_width), smaller(last, (i + 1) * args.gate_width),
                          [&](Index, int) { return factor; });
        }
      }
    });
  });
}

/// weight * (x + bias) for `n` columns from `i` on, the scale left aside.
template <typename V>
typename V::F unscaled_term(const ScaledTermKernelArgs& term, Index row, Index i, int n) {
  auto x = load<V>(term.x.data + row * term.x.stride + i, n);
  if (term.bias != nullptr) x = V::add(x, load<V>(term.bias + i, n));
  if (term.weight != nullptr) x = V::mul(x, load<V>(term.weight + i, n));
  return x;
}

template <typename V>
void scaled_add(const ScaledAddKernelArgs& args, Index begin, Index end) {
  const auto first_scale = V::set1(args.first.scale);
  const auto second_scale = V::set1(args.second.scale);
  for_element_blocks(args.columns, begin, end, [&](Index row, Index first, Index last) {
    float* out = args.out.data + row * args.out.stride;
    for (Index i = first; i < last; i += kLanes) {
      const int n = lanes_left(i, last);
      auto y = V::mul(first_scale, unscaled_term<V>(args.first, row, i, n));
      if (args.second.x.data != nullptr) y = V::fma(second_scale, unscaled_term<V>(args.second, row, i, n), y);
      store<V>(out + i, y, n);
    }
  });
}

template <typename V>
void activate(const ActivateKernelArgs& args, Index begin, Index end) {
  const auto input_scale = V::set1(args.input_scale);
  const auto output_scale = V::set1(args.output_scale);
  with_activation<V>(args.activation, [&](auto act) {
    for_element_blocks(args.columns, begin, end, [&](Index row, Index first, Index last) {
      const float* x = args.x.data + row * args.x.stride;
      float* out = args.out.data + row * args.out.stride;
      for (Index i = first; i < last; i += kLanes) {
        const int n = lanes_left(i, last);
        store<V>(out + i, V::mul(output_scale, act(V::mul(input_scale, load<V>(x + i, n)))), n);
      }
    });
  });
}

}  // namespace
}  // namespace krait::cpu
