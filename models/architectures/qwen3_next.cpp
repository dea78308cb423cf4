#include <algorithm>

#include "models/architectures/families.h"
#include "models/architectures/qwen_hybrid.h"

namespace krait {
namespace {

/// Every `decoder_sparse_step`-th layer, but for `mlp_only_layers`.
std::vector<bool> sparse_layers(const ConfigReader& reader, int num_layers, int experts) {
  const std::int64_t step = reader.integer_or("decoder_sparse_step", 1, 1);
  std::vector<std::int64_t> dense;
  if (reader.has("mlp_only_layers")) dense = reader.integers("mlp_only_layers");
  std::vector<bool> sparse;
  for (int i = 0; i < num_layers; ++i) {
    const bool only_mlp = std::find(dense.begin(), dense.end(), i) != dense.end();
    sparse.push_back(experts > 0 && !only_mlp && (i + 1) % step == 0);
  }
  return sparse;
}

}  // namespace

std::unique_ptr<Model> make_qwen3_next(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  QwenHybridOptions options;
  options.layout = GatedDeltaNetConfig::Layout::kByKeyHead;
  options.experts = static_cast<int>(reader.integer_or("num_experts", 512));
  options.experts_per_token = static_cast<int>(reader.integer_or("num_experts_per_tok", 10, 1));
  options.renormalize = reader.boolean_or("norm_topk_prob", true);
  options.sparse = sparse_layers(reader, config.num_layers, options.experts);
  return make_qwen_hybrid(reader, std::move(config), context, options);
}

}  // namespace krait
