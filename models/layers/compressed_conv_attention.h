#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/backends/attention/attention_backend.h"
#include "models/backends/short_conv/short_conv_backend.h"
#include "models/config/rope_config.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/layer_output.h"
#include "models/layers/linear.h"
#include "models/layers/rope_table.h"

namespace krait {

class WeightLoader;

/// The layer's dimensions and switches, of the whole layer.
struct CompressedConvConfig {
  int hidden_size = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int depthwise_kernel = 2;
  int grouped_kernel = 2;
  int sliding_window = 0;  ///< 0: full attention
  bool bias = false;       ///< of the projections
  RopeConfig rope{};
};

/// Compressed convolutional attention (ZAYA1): two causal convolutions, a depthwise one and one within each head, mix
/// the last tokens' q and k before the softmax; half of v is the last token's. Two specs: 0 the keys and values, 1 the
/// inputs that the convolutions and the delay keep (type short_conv).
///   q0 = q_proj x, k0 = k_proj x; qr[h] = (q0[h] + k0[h / groups]) / 2; kr[j] = mean of qr over the heads of j
///   [q | k] = grouped(depthwise([q0 | k0])) + [qr | kr], each head scaled to length sqrt(head_dim), k times temp[j]
///   v = [v_proj_current x_t | v_proj_delayed x_(t-1)] over the whole width
class CompressedConvAttention final : public AttentionLayerBase {
 public:
  CompressedConvAttention(std::string name, const CompressedConvConfig& config, const LayerContext& context);

  [[nodiscard]] std::vector<CacheSpec> cache_specs() const override;
  [[nodiscard]] const LayerBackend* get_attn_backend(std::size_t spec) const override;
  void bind_backend(std::size_t spec, const LayerBackend* backend) override;
  [[nodiscard]] std::optional<RopeConfig> rope() const { return config_.rope; }

  void load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output);

 private:
  /// [q0 | k0] and v, its delayed half in place; columns of one matrix.
  struct Projected {
    TensorView qk;
    TensorView v;
  };
  [[nodiscard]] MambaSpec make_state_spec() const;
  /// The cache of one of its tensors.
  [[nodiscard]] StateCacheView state(std::size_t tensor) const;
  [[nodiscard]] std::int64_t q_width() const { return std::int64_t{config_.heads} * config_.head_dim; }
  [[nodiscard]] std::int64_t kv_width() const { return std::int64_t{config_.kv_heads} * config_.head_dim; }
  [[nodiscard]] std::int64_t qk_width() const { return q_width() + kv_width(); }
  [[nodiscard]] Projected project(ForwardContext& context, const TensorView& x) const;
  /// The convolutions: [T, q | k].
  [[nodiscard]] TensorView mix(ForwardContext& context, const TensorView& raw) const;
  /// mixed += [qr | kr] of the raw q and k.
  void add_residuals(ForwardContext& context, const TensorView& raw, const TensorView& mixed) const;
  void normalize(ForwardContext& context, const TensorView& mixed) const;
  void load_delay(WeightLoader& loader);
  void load_key_scale(WeightLoader& loader);

  CompressedConvConfig config_;
  LayerContext context_;
  MambaSpec state_spec_;
  const AttentionBackend* attention_backend_;
  Linear in_proj_;
  Linear o_proj_;
  Tensor depthwise_weight_;
  Tensor depthwise_bias_;
  std::vector<PackedWeight> grouped_weights_;
  Tensor grouped_bias_;
  Tensor delay_weight_;   ///< of a convolution that returns the input before: [2, channels] of 1 and 0
  Tensor delayed_start_;  ///< v_proj_delayed of no input; undefined: zeros
  Tensor key_scale_;      ///< [kv width]: the head's temperature
  std::shared_ptr<const RopeTable> rope_;
};

}  // namespace krait
