#include <cmath>
#include <optional>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/mamba2_config_reader.h"
#include "models/config/activation_config.h"
#include "models/layers/attention.h"
#include "models/layers/low_rank_adapter.h"
#include "models/layers/mamba2_mixer.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

struct ZambaConfig {
  Mamba2Config mamba;
  AttentionConfig attention;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t adapter_rank = 0;
  bool attention_adapters = false;
  bool bias = false;
  Activation activation = Activation::kGelu;
  float norm_eps = 1e-5F;
};

/// The weights of one shared transformer block: several hybrid layers use it, each with adapters of its own.
struct SharedBlock {
  SharedBlock(const std::string& name, const ZambaConfig& config, const LayerContext& context)
      : prefix(name),
        input_norm(name + ".input_layernorm", 2 * config.hidden_size, config.norm_eps),
        attention(std::make_shared<AttentionProjections>(name + ".self_attn", config.attention, context)),
        pre_ff_norm(name + ".pre_ff_layernorm", config.hidden_size, config.norm_eps),
        gate_up({{.name = name + ".feed_forward.gate_up_proj", .out_features = 2 * config.intermediate_size}},
                config.hidden_size, context.parallel, {.bias = config.bias}),
        down({{.name = name + ".feed_forward.down_proj", .out_features = config.hidden_size}}, config.intermediate_size,
             context.parallel, {.bias = config.bias}) {}

  /// Loads once, whoever asks first.
  void load(WeightLoader& loader) {
    if (loaded) return;
    loaded = true;
    input_norm.load(loader);
    pre_ff_norm.load(loader);
    gate_up.load(loader);
    down.load(loader);
  }

  std::string prefix;
  RmsNorm input_norm;
  std::shared_ptr<AttentionProjections> attention;
  RmsNorm pre_ff_norm;
  Linear gate_up;  ///< [gate | up], to which an adapter is added before the activation
  Linear down;
  bool loaded = false;
};

/// One hybrid layer's use of a shared block: its adapters, its KV cache and the projection of the block's output.
class SharedBlockUse {
 public:
  SharedBlockUse(const std::string& layer, std::shared_ptr<SharedBlock> block, int use, const ZambaConfig& config,
                 const LayerContext& context)
      : intermediate_(config.intermediate_size),
        activation_(config.activation),
        block_(std::move(block)),
        attention_(layer + ".self_attn", block_->attention, context),
        mlp_adapter_({{.name = block_->prefix + ".feed_forward.gate_up_proj_adapter_list." + std::to_string(use),
                       .out_features = 2 * config.intermediate_size}},
                     config.hidden_size, config.adapter_rank, context.parallel),
        linear_({{.name = layer + ".linear", .out_features = config.hidden_size}}, config.hidden_size, context.parallel,
                {}) {
    if (!config.attention_adapters) return;
    std::vector<LowRankAdapter::Part> parts;
    for (const char* part : {"q", "k", "v"}) {
      parts.push_back({.name = block_->prefix + ".self_attn.linear_" + part + "_adapter_list." + std::to_string(use),
                       .out_features = 2 * config.hidden_size});
    }
    attention_adapter_.emplace(std::move(parts), 2 * config.hidden_size, config.adapter_rank, context.parallel);
  }

  [[nodiscard]] AttentionLayerBase* attention() { return &attention_; }

  void load(WeightLoader& loader, RopeTables& ropes) {
    block_->load(loader);
    attention_.load(loader, ropes.get(attention_.rope()));
    mlp_adapter_.load(loader);
    if (attention_adapter_) attention_adapter_->load(loader);
    linear_.load(loader);
  }

  /// out = linear(mlp(norm(attention(norm([hidden | embedding]))))), without a residual inside.
  void forward(ForwardContext& context, const ResidualStream& stream, const TensorView& out) {
    const Workspace::Scope scope(context.workspace);
    const std::int64_t rows = stream.hidden.rows();
    const std::int64_t hidden = stream.hidden.columns();
    const TensorView both = context.workspace.matrix(rows, 2 * hidden);
    context.ops.scaled_add({.first = {.x = stream.hidden}, .out = both.slice_columns(0, hidden)});
    context.ops.scaled_add({.first = {.x = stream.embedding}, .out = both.slice_columns(hidden, hidden)});
    block_->input_norm.forward(context.ops, both, both);
    const TensorView normed = context.workspace.matrix(rows, hidden);
    Attention::QkvAdapter adapt = nullptr;
    if (attention_adapter_) adapt = [&](const TensorView& qkv) { attention_adapter_->add(context, both, qkv); };
    attention_.forward(context, both, {.into = normed, .accumulate = false}, adapt);
    block_->pre_ff_norm.forward(context.ops, normed, normed);
    mlp(context, normed, out);
  }

 private:
  void mlp(ForwardContext& context, const TensorView& x, const TensorView& out) const {
    const TensorView gate_up = context.workspace.matrix(x.rows(), 2 * intermediate_);
    block_->gate_up.forward(context.ops, x, gate_up);
    mlp_adapter_.add(context, x, gate_up);
    const TensorView inner = context.workspace.matrix(x.rows(), intermediate_);
    context.ops.gate({.x = gate_up.slice_columns(intermediate_, intermediate_),
                      .gate = gate_up.slice_columns(0, intermediate_),
                      .activation = activation_,
                      .out = inner});
    const TensorView transformed = context.workspace.matrix(x.rows(), out.columns());
    block_->down.forward(context.ops, inner, transformed);
    linear_.forward(context.ops, transformed, out);
  }

  std::int64_t intermediate_;
  Activation activation_;
  std::shared_ptr<SharedBlock> block_;
  Attention attention_;
  std::optional<LowRankAdapter> attention_adapter_;
  LowRankAdapter mlp_adapter_;
  Linear linear_;
};

/// h += mamba(norm(h)); a hybrid layer has h += mamba(norm(h + block([h | embedding]))): what the block gives reaches
/// the stream through the mixer only.
class ZambaLayer final : public DecoderLayer {
 public:
  /// `mamba` prefixes the norm's and the mixer's tensors.
  ZambaLayer(const std::string& mamba, std::unique_ptr<SharedBlockUse> block, const ZambaConfig& config,
             const LayerContext& context)
      : block_(std::move(block)),
        norm_(mamba + ".input_layernorm", config.hidden_size, config.norm_eps),
        mamba_(mamba + ".mamba", config.mamba, context) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if (block_) return {block_->attention(), &mamba_};
    return {&mamba_};
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    if (block_) block_->load(loader, ropes);
    norm_.load(loader);
    mamba_.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    if (block_) {
      const TensorView sum = context.workspace.matrix(hidden.rows(), hidden.columns());
      block_->forward(context, stream, sum);
      context.ops.add_rms_norm(
          {.residual = sum, .add = hidden, .weight = norm_.weight(), .eps = norm_.eps(), .out = normed});
    } else {
      norm_.forward(context.ops, hidden, normed);
    }
    mamba_.forward(context, normed, {.into = hidden});
  }

 private:
  std::unique_ptr<SharedBlockUse> block_;
  RmsNorm norm_;
  Mamba2Mixer mamba_;
};

Mamba2Config mamba_config(const ConfigReader& reader, const ModelConfig& config, bool bias) {
  Mamba2Config mamba = read_mamba2_config(reader, config.hidden_size,
                                          {.heads = "n_mamba_heads",
                                           .head_dim = "mamba_headdim",
                                           .groups = "mamba_ngroups",
                                           .state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .chunk_size = "chunk_size",
                                           .expand = "mamba_expand",
                                           .norm_eps = {},
                                           .default_heads = 8,
                                           .default_state = 64});
  read_time_step_min(reader, mamba);
  mamba.in_proj_bias = bias;
  mamba.out_proj_bias = bias;
  mamba.conv_bias = true;  // whatever `use_conv_bias` says
  return mamba;
}

AttentionConfig attention_config(const ConfigReader& reader, const ModelConfig& config) {
  AttentionConfig attention;
  attention.hidden_size = config.hidden_size;
  attention.input_size = 2 * config.hidden_size;
  attention.heads = static_cast<int>(reader.integer_or("num_attention_heads", 32, 1));
  attention.kv_heads = read_kv_heads(reader, attention.heads, 0);
  attention.head_dim =
      static_cast<int>(reader.integer_or("attention_head_dim", attention.input_size / attention.heads, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim) / 2.0F);
  if (reader.boolean_or("use_mem_rope", false)) {
    reader.require_false("use_long_context");
    attention.rope = read_rope_config(reader, attention.head_dim);
  }
  return attention;
}

ZambaConfig read_zamba_config(const ConfigReader& reader, const ModelConfig& config) {
  const bool bias = reader.boolean_or("add_bias_linear", false);
  ZambaConfig zamba{
      .mamba = mamba_config(reader, config, bias),
      .attention = attention_config(reader, config),
      .hidden_size = config.hidden_size,
      .intermediate_size = reader.integer_or("intermediate_size", std::int64_t{4} * config.hidden_size, 1),
      .adapter_rank = reader.integer_or("adapter_rank", 128, 1),
      .attention_adapters = reader.boolean_or("use_shared_attention_adapter", false),
      .bias = bias,
      .activation = read_activation(reader, "hidden_act", "gelu"),
      .norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-5))};
  const AttentionConfig& attention = zamba.attention;
  if (zamba.attention_adapters &&
      (attention.heads * attention.head_dim != 2 * config.hidden_size || attention.kv_heads != attention.heads)) {
    reader.fail("use_shared_attention_adapter",
                "is true, which needs as many key/value heads as heads and heads that make twice the hidden size");
  }
  return zamba;
}

}  // namespace

std::unique_ptr<Model> make_zamba2(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const ZambaConfig zamba = read_zamba_config(reader, config);
  const auto num_blocks = static_cast<std::size_t>(reader.integer_or("num_mem_blocks", 1, 1));
  const std::vector<std::string> kinds =
      read_layer_types(reader, "layers_block_type", config.num_layers, {"mamba", "linear_attention", "hybrid"});
  std::vector<std::shared_ptr<SharedBlock>> blocks;  // stored under the first layer that uses them
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  std::size_t uses = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    const bool is_hybrid = kinds[i] == "hybrid";
    std::unique_ptr<SharedBlockUse> use;
    if (is_hybrid) {
      if (blocks.size() < num_blocks) {
        blocks.push_back(std::make_shared<SharedBlock>(prefix + ".shared_transformer", zamba, context));
      }
      use = std::make_unique<SharedBlockUse>(prefix, blocks[uses % num_blocks], static_cast<int>(uses), zamba, context);
      ++uses;
    }
    layers.push_back(
        std::make_unique<ZambaLayer>(is_hybrid ? prefix + ".mamba_decoder" : prefix, std::move(use), zamba, context));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.final_layernorm",
                        .lm_head = "lm_head",
                        .norm_eps = zamba.norm_eps,
                        .keep_embedding = true};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
