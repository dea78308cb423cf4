#pragma once

namespace krait {

class MambaRegistry;

/// Registers every mamba type that is known from the start, its default backend, and the backends that this version
/// builds.
void register_builtin_backends(MambaRegistry& registry);

}  // namespace krait
