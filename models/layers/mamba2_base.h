#pragma once

#include <string>

#include "models/backends/mamba2/mamba2_backend.h"
#include "models/layers/attention_layer_base.h"

namespace krait {

class WeightLoader;

/// Dimensions and switches of a Mamba-2 layer's convolution and scan, of the whole layer.
struct Mamba2Dimensions {
  int heads = 0;
  int head_dim = 0;
  int groups = 1;
  int state_size = 0;
  int conv_kernel = 4;
  int chunk_size = 0;  ///< 0: the config states none, which start-up refuses
  bool conv_bias = true;
  float dt_min = 0.0F;
  float dt_max = 0.0F;  ///< may be infinity
};

/// What every Mamba-2 layer has, whatever projections lie around it: state, parameters, convolution and scan.
class Mamba2Base : public MambaBase {
 public:
  [[nodiscard]] std::string_view mamba_type_name() const override { return mamba_types::kMamba2; }
  [[nodiscard]] std::vector<StateTensorSpec> state_tensors() const override;
  [[nodiscard]] int chunk_size() const override { return chunk_size_; }
  void bind_backend(std::size_t spec, const LayerBackend* backend) override;

 protected:
  /// What the convolution runs over.
  enum class ConvInput : std::uint8_t { kXBC, kX };
  /// Throws StartupError when the groups do not divide the heads.
  Mamba2Base(std::string name, const Mamba2Dimensions& dimensions, ConvInput conv_input, const LayerContext& context);

  [[nodiscard]] std::int64_t inner_size() const { return std::int64_t{parameters_.heads} * parameters_.head_dim; }
  /// Columns of B, and of C.
  [[nodiscard]] std::int64_t group_columns() const { return std::int64_t{parameters_.groups} * parameters_.state_size; }
  [[nodiscard]] std::int64_t conv_channels() const { return conv_channels_; }
  [[nodiscard]] int heads() const { return parameters_.heads; }
  [[nodiscard]] int groups() const { return parameters_.groups; }
  [[nodiscard]] int state_size() const { return parameters_.state_size; }

  /// `conv1d.weight`, `conv1d.bias`, `A_log`, `D` and `dt_bias`.
  void load_recurrence(WeightLoader& loader);
  /// silu(conv(x)) [T, conv channels]. The memory is the workspace's.
  TensorView convolve(ForwardContext& context, const TensorView& x) const;
  /// The scan of all tokens of the step.
  void scan(ForwardContext& context, const Mamba2Activations& activations) const;

 private:
  int conv_kernel_;
  int chunk_size_;
  bool conv_bias_on_;
  std::int64_t conv_channels_;
  Mamba2Parameters parameters_;
  Tensor conv_weight_;
  Tensor conv_bias_;
  Tensor a_;
  Tensor d_;
  Tensor dt_bias_;
};

}  // namespace krait
