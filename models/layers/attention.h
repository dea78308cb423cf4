#pragma once

#include <functional>
#include <memory>

#include "models/backends/attention/attention_backend.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/attention_projections.h"
#include "models/layers/layer_output.h"
#include "models/layers/rope_table.h"

namespace krait {

/// Multi-head attention with grouped keys and values (MHA, GQA, MQA): projections → rotation, KV write, softmax (the
/// backend's) → output gate → output projection. Layers may share projections; each has its own cache.
class Attention final : public AttentionLayerBase {
 public:
  /// Adds to q|k|v before anything reads them (adapters): [T, q + 2 kv columns].
  using QkvAdapter = std::function<void(const TensorView& qkv)>;

  Attention(const std::string& name, const AttentionConfig& config, const LayerContext& context);
  /// With projections that another layer has too.
  Attention(std::string name, std::shared_ptr<AttentionProjections> projections, const LayerContext& context);

  [[nodiscard]] std::vector<CacheSpec> cache_specs() const override;
  [[nodiscard]] const LayerBackend* get_attn_backend(std::size_t /*spec*/) const override { return backend_; }
  [[nodiscard]] const std::optional<RopeConfig>& rope() const { return config().rope; }

  /// `rope` is shared with other layers; null for a layer without position embedding.
  void load(WeightLoader& loader, std::shared_ptr<const RopeTable> rope);
  void forward(ForwardContext& context, const TensorView& x, const LayerOutput& output,
               const QkvAdapter& adapt = nullptr);

 private:
  [[nodiscard]] const AttentionConfig& config() const { return projections_->config(); }

  std::shared_ptr<AttentionProjections> projections_;
  DType cache_dtype_;
  const AttentionBackend* backend_;
  std::shared_ptr<const RopeTable> rope_;
};

}  // namespace krait
