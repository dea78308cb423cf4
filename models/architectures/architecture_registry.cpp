#include "models/architectures/architecture_registry.h"

#include <array>
#include <filesystem>
#include <string>

#include "kernels/result.h"
#include "models/architectures/families.h"

namespace krait {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"GraniteMoeHybridForCausalLM", &make_granite_moe_hybrid},
    Architecture{"LlamaForCausalLM", &make_llama},
    Architecture{"Mamba2ForCausalLM", &make_mamba2},
};

std::string config_path(const std::string& folder) { return (std::filesystem::path(folder) / "config.json").string(); }

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

ModelConfig peek_model_config(const std::string& folder) {
  return read_model_config(ConfigReader::from_file(config_path(folder)), folder);
}

std::unique_ptr<Model> make_model(const std::string& folder, const LayerContext& context) {
  const ConfigReader reader = ConfigReader::from_file(config_path(folder));
  ModelConfig config = read_model_config(reader, folder);
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.hf_name == config.architecture) return architecture.make(reader, std::move(config), context);
    known += (known.empty() ? "" : ", ") + std::string(architecture.hf_name);
  }
  reader.fail("architectures",
              "names '" + config.architecture + "', which this version does not know. Known architectures: " + known);
}

}  // namespace krait
