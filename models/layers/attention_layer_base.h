#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/operations.h"
#include "kernels/result.h"
#include "models/backends/layer_backend.h"
#include "models/layers/cache_spec.h"
#include "models/layers/forward_context.h"
#include "models/layers/layer_context.h"

namespace krait {

/// The part of a cache pool that belongs to one layer and spec.
using LayerCache = std::variant<std::monostate, KvCacheView, StateCacheView>;

/// The common root of every layer that keeps something of the past: attention of all kinds, and the recurrent mixers.
/// Says what it keeps (`cache_specs`), who computes it (`get_attn_backend`), and is bound to its caches once, by the
/// runner.
class AttentionLayerBase {
 public:
  explicit AttentionLayerBase(std::string name) : name_(std::move(name)) {}
  virtual ~AttentionLayerBase() = default;
  AttentionLayerBase(const AttentionLayerBase&) = delete;
  AttentionLayerBase& operator=(const AttentionLayerBase&) = delete;

  /// Unique in a model, for example "model.layers.3.mamba".
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] virtual std::vector<CacheSpec> cache_specs() const = 0;
  /// The backend of one of the specs. Throws StartupError with what was asked and what is valid.
  [[nodiscard]] virtual const LayerBackend* get_attn_backend(std::size_t spec) const = 0;
  /// Tokens of a scan's chunk, for the metadata; 0 where the layer has none.
  [[nodiscard]] virtual int chunk_size() const { return 0; }

  /// What the layer will call for a spec from now on: its own `get_attn_backend(spec)`, asked once when groups are
  /// formed. Throws StartupError when the backend does not implement the interface of the layer's kind.
  virtual void bind_backend(std::size_t spec, const LayerBackend* backend);
  void set_cache_group(std::size_t spec, std::size_t group);
  void bind_cache(std::size_t spec, LayerCache cache);

 protected:
  template <typename Metadata>
  [[nodiscard]] const Metadata& metadata(const ForwardContext& context, std::size_t spec = 0) const {
    return static_cast<const Metadata&>(*context.group_metadata[groups_[spec]]);
  }
  [[nodiscard]] const LayerCache& cache(std::size_t spec = 0) const { return caches_[spec]; }
  template <typename Backend>
  [[nodiscard]] const Backend& bound_backend(std::size_t spec = 0) const {
    const LayerBackend* backend = backends_[spec];
    if (backend == nullptr) KRAIT_BUG("layer " + name_ + " runs before it was bound");
    return static_cast<const Backend&>(*backend);
  }

 private:
  std::string name_;
  std::vector<const LayerBackend*> backends_;
  std::vector<std::size_t> groups_;
  std::vector<LayerCache> caches_;
};

/// `select_mamba_backend(type, platform, explicit choice)`, checked against the state dtype: the one rule by which
/// every layer with a recurrent state gets its backend. Throws StartupError.
const LayerBackend* select_layer_backend(std::string_view mamba_type, const LayerContext& context);

/// A backend that somebody registered for a type must implement the type's interface; else StartupError.
template <typename Interface>
void require_backend(const LayerBackend* backend, std::string_view mamba_type, std::string_view interface) {
  if (dynamic_cast<const Interface*>(backend) != nullptr) return;
  throw StartupError("backend '" + std::string(backend->name()) + "' was registered for mamba type '" +
                     std::string(mamba_type) + "' but is no " + std::string(interface));
}

/// The root of the recurrent mixers: one slot a request.
class MambaBase : public AttentionLayerBase {
 public:
  MambaBase(std::string name, const LayerContext& context);

  /// The layer's type by its registered name; a layer never names its backend.
  [[nodiscard]] virtual std::string_view mamba_type_name() const = 0;
  /// The tensors of one request's state (this rank's share).
  [[nodiscard]] virtual std::vector<StateTensorSpec> state_tensors() const = 0;

  [[nodiscard]] std::vector<CacheSpec> cache_specs() const final;
  [[nodiscard]] const LayerBackend* get_attn_backend(std::size_t spec) const final;

 protected:
  [[nodiscard]] const LayerContext& context() const { return context_; }

 private:
  LayerContext context_;
};

}  // namespace krait
