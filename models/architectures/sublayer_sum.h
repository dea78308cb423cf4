#pragma once

#include <utility>

#include "models/layers/forward_context.h"
#include "models/layers/layer_output.h"

namespace krait {

class WeightLoader;

/// Two layers that see one input, their results added: routed experts and a shared one.
template <typename First, typename Second>
class SublayerSum {
 public:
  SublayerSum(First first, Second second) : first_(std::move(first)), second_(std::move(second)) {}

  void load(WeightLoader& loader) {
    first_.load(loader);
    second_.load(loader);
  }

  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
    first_.forward(context, x, output);
    second_.forward(context, x, {.into = output.into, .scale = output.scale});
  }

 private:
  First first_;
  Second second_;
};

}  // namespace krait
