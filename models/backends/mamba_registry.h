#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/platform.h"
#include "kernels/result.h"
#include "models/backends/layer_backend.h"
#include "models/backends/mamba_type.h"

namespace krait {

/// A backend that can be selected.
struct MambaBackendEntry {
  std::string name;
  std::vector<std::string> types;  ///< the mamba types that it serves
  /// Makes the one instance; empty for a backend that is known and not built in this version.
  std::function<std::unique_ptr<MambaBackend>()> make;
};

/// The mamba types, their backends, and the map from a type to its default backend. Thread-safe.
///
/// Selection (design, section 3), first match wins, cached by its whole key:
///   1. the platform's hook, which sees the user's choice and may name a backend, refuse the type, or have no opinion;
///   2. the user's explicit choice;
///   3. the default map, where `register_backend` has replaced an entry or not.
/// Every error says what was asked and what is valid.
class MambaRegistry {
 public:
  /// A registry with the built-in types and backends.
  MambaRegistry();
  /// The process's registry.
  static MambaRegistry& instance();

  /// Adds a type whose default backend is `default_backend`. An existing name is an error.
  Status register_type(const std::string& type, const std::string& default_backend);
  /// Adds a backend. With `replace_default_of`, that type uses it from now on, selections already cached included.
  Status register_backend(MambaBackendEntry entry, std::optional<std::string> replace_default_of = std::nullopt);
  /// Undoes the effect of `replace_default_of` for a type and removes the backend.
  void unregister_backend(const std::string& name);

  /// `Invalid mamba type: 'x'. Valid types: …`
  [[nodiscard]] Result<MambaType> type(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> type_names() const;
  /// Types whose default backend is built in.
  [[nodiscard]] std::vector<std::string> served_type_names() const;

  [[nodiscard]] Result<const MambaBackend*> select(const MambaType& type, const Platform& platform,
                                                   std::optional<std::string_view> explicit_choice);
  /// How often a selection was answered from the cache.
  [[nodiscard]] std::int64_t cache_hits() const;

 private:
  struct Registered {
    MambaBackendEntry entry;
    std::unique_ptr<MambaBackend> instance;
  };
  /// Everything that a selection depends on. The hook's opinion is in it, because a platform object may come and go at
  /// one address.
  struct Key {
    std::string type;
    std::string platform;
    MambaBackendOpinion::Kind opinion = MambaBackendOpinion::Kind::kNoOpinion;
    std::string opinion_text;
    std::optional<std::string> choice;
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): of the generated code
  };

  Result<const MambaBackend*> select_uncached(const std::string& type, const Platform& platform,
                                              const MambaBackendOpinion& opinion,
                                              std::optional<std::string_view> choice);
  Result<const MambaBackend*> use(const std::string& backend, const std::string& type, const Platform& platform);
  [[nodiscard]] std::string backends_of(std::string_view type) const;

  mutable std::mutex mutex_;
  std::vector<std::string> type_order_;
  std::map<std::string, std::string, std::less<>> defaults_;  ///< as registered with the type
  std::map<std::string, std::string, std::less<>> overrides_;
  std::map<std::string, Registered, std::less<>> backends_;
  std::map<Key, const MambaBackend*> cache_;
  std::int64_t cache_hits_ = 0;
};

/// `MambaRegistry::instance().select`.
Result<const MambaBackend*> select_mamba_backend(const MambaType& type, const Platform& platform,
                                                 std::optional<std::string_view> explicit_choice);
/// Puts `entry` in the place of the default backend of `type`.
Status register_mamba_backend(const std::string& type, MambaBackendEntry entry);

}  // namespace krait
