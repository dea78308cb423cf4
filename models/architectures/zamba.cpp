#include <cmath>

#include "models/architectures/attention_config_reader.h"
#include "models/architectures/causal_lm.h"
#include "models/architectures/families.h"
#include "models/architectures/layer_types_reader.h"
#include "models/architectures/mamba1_config_reader.h"
#include "models/config/activation_config.h"
#include "models/layers/attention.h"
#include "models/layers/mamba1_mixer.h"
#include "models/layers/mlp.h"
#include "models/layers/rope_tables.h"

namespace krait {
namespace {

/// The weights of the transformer block that all hybrid layers share: MLP(norm(attention(norm([h | e])))), without a
/// residual inside. The caches are the layers' own.
class SharedBlock {
 public:
  SharedBlock(const std::string& prefix, const AttentionConfig& attention, std::int64_t intermediate_size,
              Activation activation, float norm_eps, const LayerContext& context)
      : input_norm_(prefix + ".input_layernorm", attention.input_size, norm_eps),
        projections_(std::make_shared<AttentionProjections>(prefix + ".self_attn", attention, context)),
        feed_forward_norm_(prefix + ".pre_ff_layernorm", attention.hidden_size, norm_eps),
        mlp_({.gate_up = {prefix + ".feed_forward.gate_proj", prefix + ".feed_forward.up_proj"},
              .down = prefix + ".feed_forward.down_proj"},
             attention.hidden_size, intermediate_size, {.activation = activation}, context) {}

  [[nodiscard]] const std::shared_ptr<AttentionProjections>& projections() const { return projections_; }

  /// Loads once, whoever asks first. The projections are the attention layers' to load.
  void load(WeightLoader& loader) {
    if (loaded_) return;
    loaded_ = true;
    input_norm_.load(loader);
    feed_forward_norm_.load(loader);
    mlp_.load(loader);
  }

  /// Leaves its result in `out` [T, hidden].
  void forward(ForwardContext& context, Attention& attention, const ResidualStream& stream,
               const TensorView& out) const {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const std::int64_t width = hidden.columns();
    const TensorView input = context.workspace.matrix(hidden.rows(), 2 * width);
    context.ops.scaled_add({.first = {.x = hidden}, .out = input.slice_columns(0, width)});
    context.ops.scaled_add({.first = {.x = stream.embedding}, .out = input.slice_columns(width, width)});
    input_norm_.forward(context.ops, input, input);
    const TensorView attended = context.workspace.matrix(hidden.rows(), width);
    attention.forward(context, input, {.into = attended, .accumulate = false});
    feed_forward_norm_.forward(context.ops, attended, attended);
    mlp_.forward(context, attended, {.into = out, .accumulate = false});
  }

 private:
  RmsNorm input_norm_;
  std::shared_ptr<AttentionProjections> projections_;
  RmsNorm feed_forward_norm_;
  GatedMlp mlp_;
  bool loaded_ = false;
};

/// What a hybrid layer has beside its mixer: the shared block, with a cache and an output projection of its own.
class HybridInput {
 public:
  HybridInput(const std::string& prefix, std::shared_ptr<SharedBlock> block, int hidden_size,
              const LayerContext& context)
      : block_(std::move(block)),
        attention_(prefix + ".shared_transf.self_attn", block_->projections(), context),
        linear_({{.name = prefix + ".linear", .out_features = hidden_size}}, hidden_size, context.parallel, {}) {}

  [[nodiscard]] Attention& attention() { return attention_; }

  void load(WeightLoader& loader, RopeTables& ropes) {
    block_->load(loader);
    attention_.load(loader, ropes.get(attention_.rope()));
    linear_.load(loader);
  }

  /// out = h + linear(block(h, e)).
  void forward(ForwardContext& context, const ResidualStream& stream, const TensorView& out) {
    const Workspace::Scope scope(context.workspace);
    const TensorView transformed = context.workspace.matrix(out.rows(), out.columns());
    block_->forward(context, attention_, stream, transformed);
    context.ops.scaled_add({.first = {.x = stream.hidden}, .out = out});
    linear_.forward(context.ops, transformed, out, {.accumulate = true});
  }

 private:
  std::shared_ptr<SharedBlock> block_;
  Attention attention_;
  Linear linear_;
};

/// h += mamba(norm(h)). In a hybrid layer the norm reads h + linear(block(h, e)) instead, which h itself never becomes.
class ZambaLayer final : public DecoderLayer {
 public:
  /// `prefix` of the mixer and its norm; `hybrid` null for a plain layer.
  ZambaLayer(const std::string& prefix, const Mamba1Config& mamba, float norm_eps, std::unique_ptr<HybridInput> hybrid,
             const LayerContext& context)
      : hybrid_(std::move(hybrid)),
        input_norm_(prefix + ".input_layernorm", mamba.hidden_size, norm_eps),
        mamba_(prefix + ".mamba", mamba, context) {}

  [[nodiscard]] std::vector<AttentionLayerBase*> attention_layers() override {
    if (hybrid_) return {&hybrid_->attention(), &mamba_};
    return {&mamba_};
  }

  void load(WeightLoader& loader, RopeTables& ropes) override {
    if (hybrid_) hybrid_->load(loader, ropes);
    input_norm_.load(loader);
    mamba_.load(loader);
  }

  void forward(ForwardContext& context, const ResidualStream& stream) override {
    const Workspace::Scope scope(context.workspace);
    const TensorView& hidden = stream.hidden;
    const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
    if (hybrid_) hybrid_->forward(context, stream, normed);
    input_norm_.forward(context.ops, hybrid_ ? normed : hidden, normed);
    mamba_.forward(context, normed, {.into = hidden});
  }

 private:
  std::unique_ptr<HybridInput> hybrid_;
  RmsNorm input_norm_;
  Mamba1Mixer mamba_;
};

AttentionConfig attention_config(const ConfigReader& reader, int hidden_size) {
  AttentionConfig attention;
  attention.hidden_size = hidden_size;
  attention.input_size = static_cast<int>(reader.integer_or("attention_hidden_size", 2 * std::int64_t{hidden_size}, 1));
  if (attention.input_size != 2 * hidden_size) {
    reader.fail("attention_hidden_size", "is " + std::to_string(attention.input_size) +
                                             ", but the shared block reads hidden state and embedding, " +
                                             std::to_string(2 * hidden_size) + " together");
  }
  attention.heads = static_cast<int>(reader.integer("num_attention_heads"));
  attention.kv_heads = read_kv_heads(reader, attention.heads, 0);
  attention.head_dim =
      static_cast<int>(reader.integer_or("attention_head_dim", attention.input_size / attention.heads, 1));
  attention.scale = 1.0F / std::sqrt(static_cast<float>(attention.head_dim) / 2.0F);
  return attention;
}

Mamba1Config mamba_config(const ConfigReader& reader, int hidden_size) {
  reader.require_value("hidden_mamba_act", "silu");
  Mamba1Config mamba = read_mamba1_config(reader, hidden_size,
                                          {.state = "mamba_d_state",
                                           .conv_kernel = "mamba_d_conv",
                                           .expand = "mamba_expand",
                                           .dt_rank = "mamba_dt_rank",
                                           .conv_bias = "mamba_conv_bias",
                                           .proj_bias = "mamba_proj_bias"});
  mamba.stacked_heads = true;
  mamba.heads = static_cast<int>(reader.integer_or("n_mamba_heads", 2, 1));
  return mamba;
}

/// True for a hybrid layer. `layers_block_type`, in the published spelling or in the one of re-saved files; without it
/// the first three layers are given, and a period and an offset place the hybrid ones of the others.
std::vector<bool> read_layer_kinds(const ConfigReader& reader, int num_layers) {
  constexpr std::string_view kKey = "layers_block_type";
  std::vector<bool> is_hybrid;
  if (!reader.has(kKey)) {
    const auto period = static_cast<int>(reader.integer_or("attn_layer_period", 6, 1));
    const auto offset = static_cast<int>(reader.integer_or("attn_layer_offset", 4));
    for (int i = 0; i < num_layers; ++i) is_hybrid.push_back(i < 3 ? i == 2 : (i - 3) % period == offset);
    return is_hybrid;
  }
  for (const std::string& kind : read_layer_types(reader, kKey, num_layers, {"mamba", "linear_attention", "hybrid"})) {
    is_hybrid.push_back(kind == "hybrid");
  }
  return is_hybrid;
}

}  // namespace

std::unique_ptr<Model> make_zamba(const ConfigReader& reader, ModelConfig config, const LayerContext& context) {
  const auto norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-5));
  const Mamba1Config mamba = mamba_config(reader, config.hidden_size);
  const AttentionConfig attention = attention_config(reader, config.hidden_size);
  const std::int64_t intermediate = reader.integer("intermediate_size");
  const Activation activation = read_activation(reader, "hidden_act", "gelu");
  const std::vector<bool> is_hybrid = read_layer_kinds(reader, config.num_layers);

  std::shared_ptr<SharedBlock> block;  // stored under the first hybrid layer
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i);
    if (!is_hybrid[static_cast<std::size_t>(i)]) {
      layers.push_back(std::make_unique<ZambaLayer>(prefix, mamba, norm_eps, nullptr, context));
      continue;
    }
    if (!block) {
      block = std::make_shared<SharedBlock>(prefix + ".shared_transf", attention, intermediate, activation, norm_eps,
                                            context);
    }
    layers.push_back(std::make_unique<ZambaLayer>(
        prefix + ".mamba_decoder", mamba, norm_eps,
        std::make_unique<HybridInput>(prefix, block, config.hidden_size, context), context));
  }
  CausalLm::Frame frame{.embedding = "model.embed_tokens",
                        .final_norm = "model.final_layernorm",
                        .lm_head = "lm_head",
                        .norm_eps = norm_eps,
                        .keep_embedding = block != nullptr};
  return std::make_unique<CausalLm>(std::move(config), std::move(frame), std::move(layers), context);
}

}  // namespace krait
