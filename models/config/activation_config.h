#pragma once

#include <string_view>

#include "kernels/operations/activation.h"

namespace krait {

class ConfigReader;

/// An activation by its name in transformers (`hidden_act`): silu, swish, sigmoid, gelu, gelu_new, gelu_pytorch_tanh,
/// relu2, tanh. `fallback` is the name where the key is absent. Another name is a StartupError that lists these.
Activation read_activation(const ConfigReader& reader, std::string_view key, std::string_view fallback);

}  // namespace krait
