#include "models/backends/builtin_backends.h"

#include <string>
#include <string_view>

#include "models/backends/gdn_attention/gdn_attention_recurrent_backend.h"
#include "models/backends/kda_attention/kda_attention_recurrent_backend.h"
#include "models/backends/linear_attention/linear_attention_recurrent_backend.h"
#include "models/backends/mamba1/mamba1_recurrent_backend.h"
#include "models/backends/mamba2/mamba2_recurrent_backend.h"
#include "models/backends/mamba_registry.h"
#include "models/backends/rg_lru/rg_lru_recurrent_backend.h"
#include "models/backends/short_conv/short_conv_recurrent_backend.h"

namespace krait {
namespace {

using MakeBackend = std::unique_ptr<MambaBackend> (*)();

/// A type and its default backend, which bears the type's own name. Null: the backend is not built yet; the type can be
/// planned, and is refused by name when a model with it is started.
struct BuiltinType {
  std::string_view type;
  MakeBackend make;
};

constexpr BuiltinType kBuiltinTypes[] = {
    {mamba_types::kMamba1, &make_mamba1_recurrent_backend},
    {mamba_types::kMamba2, &make_mamba2_recurrent_backend},
    {mamba_types::kShortConv, &make_short_conv_recurrent_backend},
    {mamba_types::kLinearAttention, &make_linear_attention_recurrent_backend},
    {mamba_types::kGdnAttention, &make_gdn_attention_recurrent_backend},
    {mamba_types::kKdaAttention, &make_kda_attention_recurrent_backend},
    {mamba_types::kRgLru, &make_rg_lru_recurrent_backend},
};

void expect_new(const Status& status) {
  if (!status.ok()) KRAIT_BUG(status.error().message);
}

}  // namespace

void register_builtin_backends(MambaRegistry& registry) {
  for (const BuiltinType& builtin : kBuiltinTypes) {
    const std::string name(builtin.type);
    expect_new(registry.register_type(name, name));
    MambaBackendEntry entry{.name = name, .types = {name}, .make = nullptr};
    if (builtin.make != nullptr) entry.make = builtin.make;
    expect_new(registry.register_backend(std::move(entry)));
  }
}

}  // namespace krait
