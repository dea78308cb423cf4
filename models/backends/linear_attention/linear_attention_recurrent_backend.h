#pragma once

#include <memory>

#include "models/backends/linear_attention/linear_attention_backend.h"

namespace krait {

/// "linear_attention": the token recurrence. Exact under any cut of a prompt.
class LinearAttentionRecurrentBackend : public LinearAttentionBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "linear_attention"; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override;
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override;
  void forward(const BackendContext& context, const MambaMetadata& metadata,
               const LinearAttentionParameters& parameters, const StateCacheView& state,
               const LinearAttentionActivations& activations) const override;
};

std::unique_ptr<MambaBackend> make_linear_attention_recurrent_backend();

}  // namespace krait
