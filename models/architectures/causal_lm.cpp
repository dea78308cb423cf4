#include "models/architectures/causal_lm.h"

#include "models/layers/rope_tables.h"
#include "models/weights/weight_loader.h"

namespace krait {

CausalLm::CausalLm(ModelConfig config, Frame frame, std::vector<std::unique_ptr<DecoderLayer>> layers,
                   const LayerContext& context)
    : Model(std::move(config)),
      frame_(std::move(frame)),
      parallel_(context.parallel),
      layers_(std::move(layers)),
      final_norm_(frame_.final_norm, this->config().hidden_size, frame_.norm_eps, frame_.norm_weight),
      lm_head_(make_lm_head(frame_.embedding)) {}

Linear CausalLm::make_lm_head(const std::string& embedding) const {
  return {{{config().tie_word_embeddings ? embedding : frame_.lm_head, config().vocab_size}},
          config().hidden_size,
          parallel_,
          {}};
}

std::vector<AttentionLayerBase*> CausalLm::attention_layers() {
  std::vector<AttentionLayerBase*> all;
  for (const auto& layer : layers_) {
    const auto some = layer->attention_layers();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

void CausalLm::load_weights(WeightLoader& loader, Platform& platform, int max_positions) {
  const bool is_old = !frame_.old_embedding.empty() && loader.has(frame_.old_embedding + ".weight");
  if (is_old && !loader.has(frame_.embedding + ".weight")) {
    frame_.embedding = frame_.old_embedding;
    lm_head_ = make_lm_head(frame_.embedding);
  }
  const std::string table = frame_.embedding + ".weight";
  const bool quantized = loader.quantizes({.weight = table}, config().hidden_size);
  if (!quantized) embedding_ = loader.raw(table, {config().vocab_size, config().hidden_size});
  if (quantized && !config().tie_word_embeddings) {
    quantized_embedding_ =
        loader.linear({{.weight = table, .out_features = config().vocab_size}}, config().hidden_size);
  }
  RopeTables ropes(platform, max_positions);
  for (const auto& layer : layers_) layer->load(loader, ropes);
  final_norm_.load(loader);
  // A file may hold the tied head a second time; it is the embedding.
  if (config().tie_word_embeddings) loader.ignore(frame_.lm_head + ".weight");
  lm_head_.load(loader);
  if (quantized && config().tie_word_embeddings) quantized_embedding_ = lm_head_.weight();
  for (const std::string& name : frame_.ignored) loader.ignore(name);
}

void CausalLm::forward(ForwardContext& context, std::span<const std::int32_t> ids, const TensorView& hidden) {
  const Workspace::Scope scope(context.workspace);
  const TensorView residual = context.workspace.matrix(hidden.rows(), hidden.columns());
  const bool quantized = quantized_embedding_.defined();
  context.ops.embedding({.table = quantized ? TensorView{} : embedding_.view(),
                         .ids = ids,
                         .multiplier = frame_.embedding_multiplier,
                         .out = residual,
                         .weight = quantized ? &quantized_embedding_ : nullptr});
  ResidualStream stream{.hidden = residual, .embedding = {}, .carry = {}};
  if (frame_.keep_embedding) {
    stream.embedding = context.workspace.matrix(hidden.rows(), hidden.columns());
    context.ops.scaled_add({.first = {.x = residual}, .out = stream.embedding});
  }
  if (frame_.carry_width > 0) stream.carry = context.workspace.matrix(hidden.rows(), frame_.carry_width);
  for (const auto& layer : layers_) layer->forward(context, stream);
  final_norm_.forward(context.ops, residual, hidden);
}

void CausalLm::compute_logits(ForwardContext& context, const TensorView& hidden, const TensorView& logits) {
  lm_head_.forward(context.ops, hidden, logits, {.scale = frame_.logits_multiplier});
  if (frame_.logits_soft_cap == 0.0F) return;
  context.ops.activate({.x = logits,
                        .activation = Activation::kTanh,
                        .input_scale = 1.0F / frame_.logits_soft_cap,
                        .output_scale = frame_.logits_soft_cap,
                        .out = logits});
}

}  // namespace krait
