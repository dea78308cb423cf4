#include "models/backends/gdn_attention/gdn_attention_recurrent_backend.h"
#include "models/backends/token_recurrence.h"

#include "models/backends/gdn_attention/gdn_attention_backend.h"

namespace krait {
namespace {

class GdnAttentionRecurrentBackend final : public GdnAttentionBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "gdn_attention"; }
  [[nodiscard]] const BackendCapabilities& capabilities() const override { return token_recurrence_capabilities(); }
  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& /*group*/) const override {
    return std::make_unique<MambaMetadataBuilder>();
  }
  void forward(const BackendContext& context, const MambaMetadata& metadata, const DeltaRuleParameters& parameters,
               const StateCacheView& state, const DeltaRuleActivations& activations) const override {
    run_delta_rule(context, metadata, parameters, state, activations);
  }
};

}  // namespace

std::unique_ptr<MambaBackend> make_gdn_attention_recurrent_backend() {
  return std::make_unique<GdnAttentionRecurrentBackend>();
}

}  // namespace krait
