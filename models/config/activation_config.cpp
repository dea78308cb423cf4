#include "models/config/activation_config.h"

#include <string>
#include <utility>

#include "models/config/config_reader.h"

namespace krait {
namespace {

/// Two names of one function are both in use.
constexpr std::pair<std::string_view, Activation> kActivations[] = {
    {"silu", Activation::kSilu},   {"swish", Activation::kSilu},        {"sigmoid", Activation::kSigmoid},
    {"gelu", Activation::kGelu},   {"gelu_new", Activation::kGeluTanh}, {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"relu2", Activation::kRelu2}, {"tanh", Activation::kTanh},
};

}  // namespace

Activation read_activation(const ConfigReader& reader, std::string_view key, std::string_view fallback) {
  const std::string name = reader.string_or(key, fallback);
  std::string valid;
  for (const auto& [known, activation] : kActivations) {
    if (name == known) return activation;
    valid += (valid.empty() ? "" : ", ") + std::string(known);
  }
  reader.fail(key, "is '" + name + "'. Valid activations: " + valid);
}

}  // namespace krait
