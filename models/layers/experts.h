#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/layers/forward_context.h"
#include "models/layers/layer_context.h"
#include "models/layers/layer_output.h"

namespace krait {

class WeightLoader;

/// The experts of one layer, without their router. The checkpoint keeps them apart or stacked in two tensors; both are
/// read, whichever is there.
class Experts {
 public:
  struct Config {
    std::int64_t input_size = 0;  ///< of an expert, and its outputs
    std::int64_t intermediate_size = 0;
    int experts = 0;
    Activation activation = Activation::kSilu;
    bool gated = true;
    float limit = 0.0F;  ///< of Activation::kSwigluClamp
  };

  /// Tensors of one expert each: `<prefix>.<e>.<gate>.weight` and so on.
  struct Separate {
    std::string prefix{};
    std::string gate = "gate_proj";  ///< not read when the experts have no gate
    std::string up = "up_proj";
    std::string down = "down_proj";
  };
  /// Whole tensor names. [experts, 2 I, H] as [gate | up] and [experts, H, I].
  struct Stacked {
    std::string gate_up{};
    std::string down{};
    /// [experts, H, 2 I] with gate and up in alternating columns, [experts, I, H], and biases `<name>_bias` (gpt-oss).
    /// Kept apart, its experts have biases too.
    bool interleaved_with_bias = false;
  };
  struct Names {
    Separate separate{};
    Stacked stacked{};
    bool usually_stacked = false;  ///< what is named as missing where there is neither
  };

  Experts(Names names, const Config& config, const LayerContext& context);
  void load(WeightLoader& loader);
  /// `logits` [T, classes] of the router.
  void forward(ForwardContext& context, const TensorView& x, const TensorView& logits, const RouterOptions& router,
               const LayerOutput& output) const;
  [[nodiscard]] const Config& config() const { return config_; }

 private:
  [[nodiscard]] std::string first_separate() const;
  void load_separate(WeightLoader& loader, int expert);
  void load_stacked(WeightLoader& loader, int expert);

  Names names_;
  Config config_;
  std::vector<PackedWeight> up_;
  std::vector<PackedWeight> down_;
};

}  // namespace krait
