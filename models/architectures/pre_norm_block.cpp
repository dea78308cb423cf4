#include "models/architectures/pre_norm_block.h"

namespace krait {
namespace {

void load_half(PreNormBlock::Half& half, WeightLoader& loader, RopeTables& ropes) {
  half.norm.load(loader);
  half.sublayer->load(loader, ropes);
  if (half.post_norm) half.post_norm->load(loader);
}

void forward_half(const PreNormBlock::Half& half, ForwardContext& context, const TensorView& hidden) {
  const Workspace::Scope scope(context.workspace);
  const TensorView normed = context.workspace.matrix(hidden.rows(), hidden.columns());
  half.norm.forward(context.ops, hidden, normed);
  if (!half.post_norm) {
    half.sublayer->forward(context, normed, {.into = hidden});
    return;
  }
  const TensorView result = context.workspace.matrix(hidden.rows(), hidden.columns());
  half.sublayer->forward(context, normed, {.into = result, .accumulate = false});
  half.post_norm->forward(context.ops, result, result);
  context.ops.scaled_add({.first = {.x = hidden}, .second = {.x = result}, .out = hidden});
}

}  // namespace

std::vector<AttentionLayerBase*> PreNormBlock::attention_layers() {
  std::vector<AttentionLayerBase*> layers = mixer_.sublayer->attention_layers();
  for (AttentionLayerBase* layer : feed_forward_.sublayer->attention_layers()) layers.push_back(layer);
  return layers;
}

void PreNormBlock::load(WeightLoader& loader, RopeTables& ropes) {
  load_half(mixer_, loader, ropes);
  load_half(feed_forward_, loader, ropes);
}

void PreNormBlock::forward(ForwardContext& context, const ResidualStream& stream) {
  forward_half(mixer_, context, stream.hidden);
  forward_half(feed_forward_, context, stream.hidden);
}

}  // namespace krait
