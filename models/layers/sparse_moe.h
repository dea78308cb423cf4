#pragma once

#include <string>

#include "models/layers/experts.h"
#include "models/layers/linear.h"

namespace krait {

/// A linear router and its experts: the mixture of most families.
class SparseMoe {
 public:
  struct Router {
    std::string name{};            ///< prefix of `.weight`
    bool bias = false;             ///< `.bias` of the router's product (gpt-oss)
    std::string selection_bias{};  ///< whole tensor name [experts], added for the choice only; empty: none
    RouterOptions options{};       ///< `selection_bias` is filled in at load
  };
  /// Throws StartupError for a `top_k` or groups that do not fit the number of experts.
  SparseMoe(Router router, Experts::Names names, const Experts::Config& experts, std::int64_t hidden_size,
            const LayerContext& context);

  void load(WeightLoader& loader);
  /// `expert_input` is what the experts read where that is not the router's input `x` (latent experts).
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output,
               const TensorView& expert_input = {}) const;

 private:
  Router router_;
  Linear gate_;
  Experts experts_;
  Tensor selection_bias_;
};

}  // namespace krait
