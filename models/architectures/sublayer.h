#pragma once

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/rope_tables.h"

namespace krait {

class WeightLoader;

/// Half of a decoder block, between its norm and the residual: a token mixer or a feed-forward network.
class Sublayer {
 public:
  virtual ~Sublayer() = default;
  /// Its layers that keep something of the past.
  [[nodiscard]] virtual std::vector<AttentionLayerBase*> attention_layers() { return {}; }
  virtual void load(WeightLoader& loader, RopeTables& ropes) = 0;
  /// `x` [T, hidden], normed.
  virtual void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) = 0;
};

/// A layer that has `load` and `forward` of its own (Attention, ShortConv, GatedMlp, SparseMoe, …).
template <typename Layer>
class SublayerOf final : public Sublayer {
 public:
  template <typename... Args>
  explicit SublayerOf(Args&&... args) : layer_(std::forward<Args>(args)...) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if constexpr (std::derived_from<Layer, AttentionLayerBase>) {
      return {&layer_};
    } else {
      return {};
    }
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    if constexpr (requires { layer_.rope(); }) {
      layer_.load(loader, ropes.get(layer_.rope()));
    } else {
      layer_.load(loader);
    }
  }

  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) override {
    layer_.forward(context, x, output);
  }

 private:
  Layer layer_;
};

template <typename Layer, typename... Args>
std::unique_ptr<Sublayer> make_sublayer(Args&&... args) {
  return std::make_unique<SublayerOf<Layer>>(std::forward<Args>(args)...);
}

}  // namespace krait
