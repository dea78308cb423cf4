#pragma once

#include <string>

#include "models/layers/mlp.h"

namespace krait {

/// sigmoid(w x) * mlp(x), with one gate a token: the shared expert of Qwen's mixtures.
class GatedSharedExpert {
 public:
  /// `gate` is the tensor prefix of w [1, hidden].
  GatedSharedExpert(GatedMlp mlp, const std::string& gate, std::int64_t hidden_size, const LayerContext& context);
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) const;

 private:
  GatedMlp mlp_;
  Linear gate_;
};

}  // namespace krait
