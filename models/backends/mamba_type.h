#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace krait {

/// The kind of a recurrent layer, by its registered name ("mamba2"). A value, not an enumeration: a new type is its own
/// files and one registration in `MambaRegistry`. Get one from `MambaRegistry::type`.
class MambaType {
 public:
  MambaType() = default;
  [[nodiscard]] std::string_view name() const { return name_; }
  bool operator==(const MambaType&) const = default;

 private:
  friend class MambaRegistry;
  explicit MambaType(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

/// The names of the types that are registered from the start.
namespace mamba_types {
inline constexpr std::string_view kMamba1 = "mamba1";
inline constexpr std::string_view kMamba2 = "mamba2";
inline constexpr std::string_view kShortConv = "short_conv";
inline constexpr std::string_view kLinearAttention = "linear_attention";
inline constexpr std::string_view kGdnAttention = "gdn_attention";
inline constexpr std::string_view kKdaAttention = "kda_attention";
}  // namespace mamba_types

}  // namespace krait
