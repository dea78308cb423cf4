#pragma once

#include <string>

#include "models/layers/forward_context.h"
#include "models/layers/layer_context.h"
#include "models/layers/linear.h"
#include "models/layers/rms_norm.h"

namespace krait {

class WeightLoader;

/// The router of ZAYA1: a small network that also sees what the last layer's router saw.
///   r = down_proj x (+ router_states_scale * r of the last layer); logits = out_proj(gelu(fc2(gelu(fc1(norm(r))))))
/// All in float32 rows: near ties decide between experts.
class MlpRouter {
 public:
  struct Config {
    std::int64_t hidden_size = 0;
    std::int64_t router_size = 0;
    int classes = 0;
    float norm_eps = 1e-5F;
    bool first_layer = false;  ///< there is no last layer
  };
  MlpRouter(std::string name, const Config& config, const LayerContext& context);

  void load(WeightLoader& loader);
  /// `states` [T, router size]: r of the last layer on entry (not read by the first), this one's afterwards. `logits`
  /// [T, classes].
  void forward(ForwardContext& context, const TensorView& x, const TensorView& states, const TensorView& logits) const;
  [[nodiscard]] int classes() const { return config_.classes; }

 private:
  std::string name_;
  Config config_;
  Linear down_proj_;
  RmsNorm norm_;
  Linear fc1_;
  Linear fc2_;
  Linear out_proj_;
  Tensor states_scale_;
};

}  // namespace krait
