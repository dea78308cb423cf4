#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/operations.h"
#include "models/layers/forward_context.h"
#include "models/layers/mamba1_config.h"
#include "models/layers/rms_norm.h"

namespace krait {

class WeightLoader;

/// What makes a Mamba-1 scan selective: dt, B and C as functions of the convolved inputs. x_proj → [dt_r | B | C] →
/// norms → dt = dt_proj dt_r. With heads, each reads its own channels.
class Mamba1InputProjection {
 public:
  /// `name` is the mixer's.
  Mamba1InputProjection(std::string name, const Mamba1Config& config);
  void load(WeightLoader& loader);

  struct Result {
    TensorView dt;  ///< [T, channels] raw, without its bias
    TensorView b;   ///< [T, heads * state]
    TensorView c;   ///< [T, heads * state]
  };
  /// `x` [T, channels]. The memory is the workspace's.
  Result forward(ForwardContext& context, const TensorView& x) const;

 private:
  /// One product: some channels to some columns of [dt_r | B | C], each part with its heads side by side.
  struct Piece {
    PackedWeight weight;
    std::int64_t first_input = 0;
    std::int64_t inputs = 0;
    std::int64_t first_output = 0;
    std::int64_t outputs = 0;
  };
  void load_head(WeightLoader& loader, int head);
  void normalise(ForwardContext& context, const TensorView& values, const std::optional<RmsNorm>& norm) const;

  std::string name_;
  Mamba1Config config_;
  std::vector<Piece> x_proj_;
  std::vector<PackedWeight> dt_proj_;  ///< one a head
  std::optional<RmsNorm> dt_norm_;
  std::optional<RmsNorm> b_norm_;
  std::optional<RmsNorm> c_norm_;
};

}  // namespace krait
