#pragma once

#include <string>
#include <vector>

#include "models/backends/rg_lru/rg_lru_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"

namespace krait {

class WeightLoader;

/// A recurrent block's dimensions, from the model's config.
struct RgLruConfig {
  int hidden_size = 0;
  int channels = 0;  ///< `lru_width`
  int heads = 1;     ///< blocks of the gates' block-diagonal weights
  int conv_kernel = 4;
  Activation activation = Activation::kGeluTanh;  ///< of the branch that gates the output
};

/// Griffin's recurrent block (De et al., 2024, fig. 2): linear_out(RG-LRU(conv(linear_x x)) * act(linear_y x)).
class RgLruMixer final : public MambaBase {
 public:
  /// Throws StartupError when the heads do not divide the channels.
  RgLruMixer(std::string name, const RgLruConfig& config, const LayerContext& context);

  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kRgLru; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;

  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  void load(WeightLoader& loader);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  /// A gate's projection: head h of its outputs reads head h of the channels alone.
  using BlockDiagonal = std::vector<PackedWeight>;
  BlockDiagonal load_gate(WeightLoader& loader, const std::string& gate) const;
  TensorView project_gate(ForwardContext& context, const BlockDiagonal& gate, const TensorView& x) const;

  RgLruConfig config_;
  Linear linear_x_;
  Linear linear_y_;
  Linear linear_out_;
  BlockDiagonal input_gate_;
  BlockDiagonal recurrent_gate_;
  RgLruParameters parameters_;
  Tensor conv_weight_;
  Tensor conv_bias_;
  Tensor a_coefficient_;
};

}  // namespace krait
