#include "models/architectures/kimi_feed_forward.h"

#include <initializer_list>

#include "models/architectures/layer_types_reader.h"
#include "models/architectures/sublayer_sum.h"

namespace krait {
namespace {

/// Of several spellings the one that the config uses; where there is none, the first, for the error.
std::string_view spelling(const ConfigReader& reader, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (reader.has(key)) return key;
  }
  return *keys.begin();
}

/// `mlp_layer_types`, or all but the first `first_k_dense_replace` layers.
std::vector<bool> sparse_layers(const ConfigReader& reader, int num_layers) {
  std::vector<bool> sparse;
  if (!reader.has("mlp_layer_types")) {
    const std::int64_t dense = reader.integer_or("first_k_dense_replace", 1);
    for (int i = 0; i < num_layers; ++i) sparse.push_back(i >= dense);
    return sparse;
  }
  for (const std::string& kind : read_layer_types(reader, "mlp_layer_types", num_layers, {"dense", "sparse"})) {
    sparse.push_back(kind == "sparse");
  }
  return sparse;
}

RouterOptions router_options(const ConfigReader& reader) {
  for (const std::string_view key : {"moe_router_activation_func", "scoring_func", "score_function"}) {
    reader.require_value(key, "sigmoid");
  }
  reader.require_value("topk_method", "noaux_tc");
  reader.require_value("use_grouped_topk", "true");
  RouterOptions router;
  router.scoring = RouterScoring::kSigmoid;
  router.top_k = static_cast<int>(reader.integer(spelling(reader, {"num_experts_per_token", "num_experts_per_tok"})));
  router.groups = static_cast<int>(reader.integer_or(spelling(reader, {"num_expert_group", "n_group"}), 1, 1));
  router.top_groups = static_cast<int>(reader.integer_or("topk_group", 1, 1));
  router.renormalize = reader.boolean_or(spelling(reader, {"moe_renormalize", "norm_topk_prob"}), true);
  router.renormalize_eps = 1e-20F;
  router.weight_scale = static_cast<float>(reader.number("routed_scaling_factor"));
  return router;
}

std::int64_t shared_width(const ConfigReader& reader, std::int64_t expert_width) {
  const std::int64_t count = reader.integer_or(spelling(reader, {"num_shared_experts", "n_shared_experts"}), 1);
  return count * reader.integer_or("moe_shared_expert_intermediate_size", expert_width, 1);
}

}  // namespace

KimiFeedForward::KimiFeedForward(const ConfigReader& reader, const ModelConfig& config, const LayerContext& context,
                                 Names names)
    : names_(std::move(names)),
      hidden_(config.hidden_size),
      sparse_(sparse_layers(reader, config.num_layers)),
      dense_width_(reader.integer("intermediate_size")),
      context_(context) {
  reader.require_value("hidden_act", "silu");
  reader.require_value("moe_layer_freq", "1");
  experts_.input_size = hidden_;
  experts_.intermediate_size = reader.integer("moe_intermediate_size");
  experts_.experts =
      static_cast<int>(reader.integer(spelling(reader, {"num_experts", "num_local_experts", "n_routed_experts"})));
  shared_width_ = shared_width(reader, experts_.intermediate_size);
  router_ = router_options(reader);
}

std::unique_ptr<Sublayer> KimiFeedForward::layer(const std::string& prefix, int index) const {
  if (!sparse_[static_cast<std::size_t>(index)]) return make_sublayer<GatedMlp>(mlp(prefix + ".mlp", dense_width_));
  const std::string name = prefix + "." + names_.moe;
  if (shared_width_ == 0) return make_sublayer<SparseMoe>(moe(name));
  return make_sublayer<SublayerSum<SparseMoe, GatedMlp>>(moe(name), mlp(name + ".shared_experts", shared_width_));
}

GatedMlp KimiFeedForward::mlp(const std::string& prefix, std::int64_t width) const {
  return {{.gate_up = {prefix + ".gate_proj", prefix + ".up_proj"}, .down = prefix + ".down_proj"},
          hidden_,
          width,
          {},
          context_};
}

SparseMoe KimiFeedForward::moe(const std::string& prefix) const {
  const std::string experts = prefix + ".experts";
  return {{.name = prefix + ".gate", .selection_bias = prefix + ".gate." + names_.selection_bias, .options = router_},
          {.separate = {.prefix = experts, .gate = names_.gate, .up = names_.up, .down = names_.down},
           .stacked = {.gate_up = experts + ".gate_up_proj", .down = experts + ".down_proj"}},
          experts_,
          hidden_,
          context_};
}

}  // namespace krait
