#include "models/architectures/families.h"
#include "models/architectures/qwen_hybrid.h"

namespace krait {
namespace {

/// Where a multimodal checkpoint keeps its language model.
std::string prefix_of(const ModelConfig& config) {
  return config.architecture.ends_with("ForConditionalGeneration") ? "model.language_model" : "model";
}

}  // namespace

std::unique_ptr<Model> make_qwen3_5(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  QwenHybridOptions options;
  options.prefix = prefix_of(config);
  options.sparse.assign(static_cast<std::size_t>(config.num_layers), false);
  return make_qwen_hybrid(reader, std::move(config), context, options);
}

std::unique_ptr<Model> make_qwen3_5_moe(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  if (reader.has("mlp_only_layers") && !reader.integers("mlp_only_layers").empty()) {
    reader.fail("mlp_only_layers", "must be empty: every layer of this model has experts");
  }
  QwenHybridOptions options;
  options.prefix = prefix_of(config);
  options.experts = static_cast<int>(reader.integer_or("num_experts", 256, 1));
  options.experts_per_token = static_cast<int>(reader.integer_or("num_experts_per_tok", 8, 1));
  options.sparse.assign(static_cast<std::size_t>(config.num_layers), true);
  return make_qwen_hybrid(reader, std::move(config), context, options);
}

}  // namespace krait
