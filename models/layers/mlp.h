#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/forward_context.h"
#include "models/layers/layer_context.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// down(act(gate_scale * gate x) * up x). The checkpoint has gate and up apart, or one matrix [gate | up].
class GatedMlp {
 public:
  struct Names {
    std::vector<std::string> gate_up;  ///< one or two tensor prefixes
    std::string down;
  };
  struct Options {
    bool bias = false;
    Activation activation = Activation::kSilu;
    float gate_scale = 1.0F;
  };
  GatedMlp(Names names, std::int64_t hidden_size, std::int64_t intermediate_size, const Options& options,
           const LayerContext& context);
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const;

 private:
  Options options_;
  std::int64_t intermediate_;  ///< on this rank
  Linear gate_up_;
  Linear down_;
};

/// down(act(up x)), without a gate (Nemotron-H: relu^2).
class Mlp {
 public:
  struct Names {
    std::string up;
    std::string down;
  };
  struct Options {
    bool bias = false;
    Activation activation = Activation::kRelu2;
  };
  Mlp(const Names& names, std::int64_t hidden_size, std::int64_t intermediate_size, const Options& options,
      const LayerContext& context);
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const;

 private:
  Activation activation_;
  Linear up_;
  Linear down_;
};

}  // namespace krait
