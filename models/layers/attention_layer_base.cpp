#include "models/layers/attention_layer_base.h"

#include <algorithm>

#include "kernels/result.h"
#include "models/backends/mamba_registry.h"

namespace krait {

void AttentionLayerBase::set_cache_group(std::size_t spec, std::size_t group) {
  groups_.resize(std::max(groups_.size(), spec + 1));
  groups_[spec] = group;
}

void AttentionLayerBase::bind_cache(std::size_t spec, LayerCache cache) {
  caches_.resize(std::max(caches_.size(), spec + 1));
  caches_[spec] = cache;
}

void AttentionLayerBase::bind_backend(std::size_t spec, const LayerBackend* backend) {
  backends_.resize(std::max(backends_.size(), spec + 1));
  backends_[spec] = backend;
}

MambaBase::MambaBase(std::string name, const LayerContext& context)
    : AttentionLayerBase(std::move(name)), context_(context) {}

std::vector<CacheSpec> MambaBase::cache_specs() const {
  const MambaType type = value_or_throw(MambaRegistry::instance().type(mamba_type_name()));
  return {MambaSpec{.type = type, .tensors = state_tensors()}};
}

const LayerBackend* MambaBase::get_attn_backend(std::size_t /*spec*/) const {
  return select_layer_backend(mamba_type_name(), context_);
}

const LayerBackend* select_layer_backend(std::string_view mamba_type, const LayerContext& context) {
  const MambaType type = value_or_throw(MambaRegistry::instance().type(mamba_type));
  std::optional<std::string_view> choice;
  const auto explicit_choice = context.mamba.attention_backends.find(std::string(type.name()));
  if (explicit_choice != context.mamba.attention_backends.end()) choice = explicit_choice->second;
  const MambaBackend* backend = value_or_throw(select_mamba_backend(type, context.platform, choice));
  const auto& dtypes = backend->capabilities().state_dtypes;
  if (!dtypes.empty() && std::find(dtypes.begin(), dtypes.end(), context.ssm_dtype()) == dtypes.end()) {
    std::string valid;
    for (const DType dtype : dtypes) valid += (valid.empty() ? "" : ", ") + std::string(dtype_name(dtype));
    throw StartupError("mamba backend '" + std::string(backend->name()) + "' cannot keep SSM states as " +
                       std::string(dtype_name(context.ssm_dtype())) + ". Valid for --mamba-ssm-cache-dtype: " + valid);
  }
  return backend;
}

}  // namespace krait
