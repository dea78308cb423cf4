#pragma once

#include "kernels/cpu/isa/convert.h"

/// How panels of quantised weights (QuantizedForm) are read.
namespace krait::cpu {
namespace {

template <int kValue>
struct Step {
  static constexpr int value = kValue;
};

/// Where the parts of one panel lie.
struct QuantizedPanel {
  const float* units = nullptr;
  const std::uint16_t* scales = nullptr;
  const std::uint16_t* zeros = nullptr;  ///< null: 8 everywhere
  const std::int8_t* data = nullptr;
};

inline QuantizedPanel quantized_panel(const PanelWeight& weight, Index panel) {
  const QuantizedForm& form = weight.quantized;
  const std::byte* base = weight.panels + panel * form.panel_bytes;
  QuantizedPanel parts;
  parts.units = reinterpret_cast<const float*>(base);
  parts.scales = reinterpret_cast<const std::uint16_t*>(base + kLanes * sizeof(float));
  if (form.has_zeros) parts.zeros = reinterpret_cast<const std::uint16_t*>(base + form.zeros);
  parts.data = reinterpret_cast<const std::int8_t*>(base + form.data);
  return parts;
}

template <typename V>
typename V::F group_scale(const QuantizedPanel& panel, Index group) {
  return V::mul(V::load_f16(panel.scales + group * kLanes), V::load(panel.units));
}

template <typename V>
typename V::F group_zero(const QuantizedPanel& panel, Index group) {
  return panel.zeros == nullptr ? V::set1(8.0F) : V::load_f16(panel.zeros + group * kLanes);
}

/// The two forms of weights: `kSteps` values of k lie in one word of four bytes.
template <typename V>
struct Int8Weights {
  static constexpr int kSteps = 4;
  static constexpr Index kBlockBytes = kQuantBlock * kLanes;
  /// What is needed of a group beside its scale.
  static typename V::F offset(const QuantizedPanel&, Index, typename V::F) { return V::zero(); }
  template <int kStep>
  static typename V::F value(typename V::I word, typename V::F scale, typename V::F, Step<kStep>) {
    if constexpr (kStep == 3) {
      return V::mul(V::to_float(V::template sar<24>(word)), scale);
    } else {
      return V::mul(V::to_float(V::template sar<24>(V::template shl<24 - 8 * kStep>(word))), scale);
    }
  }
};

template <typename V>
struct Int4Weights {
  static constexpr int kSteps = 8;
  static constexpr Index kBlockBytes = kQuantBlock * kLanes / 2;
  static typename V::F offset(const QuantizedPanel& panel, Index group, typename V::F scale) {
    return V::neg(V::mul(group_zero<V>(panel, group), scale));
  }
  /// q * scale - zero * scale, which is exact in one rounding.
  template <int kStep>
  static typename V::F value(typename V::I word, typename V::F scale, typename V::F offset, Step<kStep>) {
    constexpr int kShift = 8 * (kStep % 4) + 4 * (kStep / 4);
    const auto mask = V::iset1(15);
    if constexpr (kShift == 0) {
      return V::fma(V::to_float(V::iand(word, mask)), scale, offset);
    } else {
      return V::fma(V::to_float(V::iand(V::template sar<kShift>(word), mask)), scale, offset);
    }
  }
};

/// Calls fn(Step<0>), fn(Step<1>), … for the steps of a word.
template <int kSteps, typename Fn>
void for_steps(Fn fn) {
  fn(Step<0>{});
  fn(Step<1>{});
  fn(Step<2>{});
  fn(Step<3>{});
  if constexpr (kSteps == 8) {
    fn(Step<4>{});
    fn(Step<5>{});
    fn(Step<6>{});
    fn(Step<7>{});
  }
}

/// `blocks` blocks of a panel from number `first` on as float[32 * blocks][16].
template <typename V, typename Weights>
void expand_blocks(const QuantizedPanel& panel, Index group_blocks, Index first, Index blocks, float* out) {
  for (Index block = first; block < first + blocks; ++block) {
    const Index group = block / group_blocks;
    const auto scale = group_scale<V>(panel, group);
    const auto offset = Weights::offset(panel, group, scale);
    const std::int8_t* from = panel.data + block * Weights::kBlockBytes;
    for (Index k = 0; k < kQuantBlock; k += Weights::kSteps, from += 4 * kLanes) {
      const auto word = V::load_words(from);
      for_steps<Weights::kSteps>([&](auto step) {
        V::store(out, Weights::value(word, scale, offset, step));
        out += kLanes;
      });
    }
  }
}

}  // namespace
}  // namespace krait::cpu
