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

/// down(silu(gate x) * up x). The checkpoint has gate and up apart, or one matrix [gate | up].
class GatedMlp {
 public:
  struct Names {
    std::vector<std::string> gate_up;  ///< one or two tensor prefixes
    std::string down;
  };
  GatedMlp(Names names, std::int64_t hidden_size, std::int64_t intermediate_size, bool bias,
           const LayerContext& context);
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const;

 private:
  std::int64_t intermediate_;  ///< on this rank
  Linear gate_up_;
  Linear down_;
};

/// A mixture of gated experts, with the experts of one layer stacked in two tensors: [experts, 2 * intermediate,
/// hidden] as [gate | up] and [experts, hidden, intermediate].
class SparseMoe {
 public:
  struct Config {
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    int experts = 0;
    int top_k = 0;
    RouterScoring scoring = RouterScoring::kTopKThenSoftmax;
    bool renormalize = false;
  };
  struct Names {
    std::string router;   ///< prefix of `.weight`
    std::string gate_up;  ///< whole tensor name
    std::string down;     ///< whole tensor name
  };
  SparseMoe(Names names, const Config& config, const LayerContext& context);
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const;

 private:
  Names names_;
  Config config_;
  PackedWeight router_;
  std::vector<PackedWeight> gate_up_;
  std::vector<PackedWeight> down_;
};

}  // namespace krait
