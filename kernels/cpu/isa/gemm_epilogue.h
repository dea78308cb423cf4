#pragma once

#include "kernels/cpu/isa/activation_kernels.h"
#include "kernels/cpu/isa/convert.h"

/// What becomes of a product's accumulators. Each step is rounded: one order for every path that leads here.
namespace krait::cpu {
namespace {

/// Stores y = scale * result(first, second), or y_old + that, for each vector of a unit, where first and second are
/// the sums with their bias; there is a second one for gate and up only.
template <typename V, bool kGated, typename Result>
void store_products(const GemmArgs& args, const GemmUnit& unit, const float* c, const Result& result) {
  const PanelWeight& weight = args.weight;
  constexpr Index kStep = kGated ? 2 : 1;
  const auto scale = V::set1(args.scale);
  for (Index row = unit.row_begin; row < unit.row_end; ++row) {
    const float* from = c + (row - unit.row_begin) * kGemmGroupPanels * kLanes;
    for (Index panel = unit.panel_begin; panel < unit.panel_end; panel += kStep) {
      const Index column = panel / kStep * kLanes;
      const float* tile = from + (panel - unit.panel_begin) * kLanes;
      const auto value = [&](Index p) {
        const auto sum = V::load(tile + p * kLanes);
        return weight.bias == nullptr ? sum : V::add(sum, V::load(weight.bias + (panel + p) * kLanes));
      };
      auto y = V::mul(scale, result(value(0), value(kStep - 1)));
      float* to = args.y.data + row * args.y.stride + column;
      const int lanes = lanes_left(column, weight.n);
      if (args.accumulate) y = V::add(load<V>(to, lanes), y);
      store<V>(to, y, lanes);
    }
  }
}

/// g sigmoid(1.702 g) (clamp(up, -limit, limit) + 1) with g = min(gate, limit); a NaN passes.
template <typename V>
typename V::F swiglu_clamp(typename V::F gate, typename V::F up, typename V::F limit) {
  const auto one = V::set1(1.0F);
  const auto low = V::neg(limit);
  const auto g = V::select(V::lt(limit, gate), limit, gate);
  auto bounded = V::select(V::lt(limit, up), limit, up);
  bounded = V::select(V::lt(up, low), low, bounded);
  const auto act = V::div(g, V::add(one, Math<V>::exp(V::mul(V::set1(-1.702F), g))));
  return V::mul(act, V::add(bounded, one));
}

template <typename V>
void gemm_epilogue(const GemmArgs& args, const GemmUnit& unit, const float* c) {
  using F = typename V::F;
  if (!args.weight.gate_up) {
    return with_activation<V>(args.activation, [&](auto act) {
      store_products<V, false>(args, unit, c, [&](F sum, F) { return act(sum); });
    });
  }
  const auto gate_scale = V::set1(args.gate_scale);
  if (args.activation == Activation::kSwigluClamp) {
    const auto limit = V::set1(args.limit);
    return store_products<V, true>(args, unit, c,
                                   [&](F gate, F up) { return swiglu_clamp<V>(V::mul(gate_scale, gate), up, limit); });
  }
  with_activation<V>(args.activation, [&](auto act) {
    store_products<V, true>(args, unit, c, [&](F gate, F up) { return V::mul(act(V::mul(gate_scale, gate)), up); });
  });
}

}  // namespace
}  // namespace krait::cpu
