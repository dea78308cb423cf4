#pragma once

#include <string>
#include <vector>

#include "models/layers/forward_context.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// Low-rank additions to the parts of a merged projection (Hu et al., 2021), without scaling: part p of the output gets
/// += B_p A_p x. On disk `<part>.0.weight` [rank, inputs] and `<part>.1.weight` [outputs, rank].
class LowRankAdapter {
 public:
  struct Part {
    std::string name;
    std::int64_t out_features = 0;
  };
  LowRankAdapter(std::vector<Part> parts, std::int64_t in_features, std::int64_t rank, const ParallelContext& parallel);

  void load(WeightLoader& loader);
  /// `y` [T, sum of the parts' outputs].
  void add(ForwardContext& context, const TensorView& x, const TensorView& y) const;

 private:
  std::vector<Part> parts_;
  std::int64_t rank_;
  Linear down_;  ///< the A of all parts
  std::vector<Linear> up_;
};

}  // namespace krait
