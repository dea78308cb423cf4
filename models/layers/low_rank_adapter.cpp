#include "models/layers/low_rank_adapter.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::vector<LinearPart> down_parts(const std::vector<LowRankAdapter::Part>& parts, std::int64_t rank) {
  std::vector<LinearPart> down;
  for (const LowRankAdapter::Part& part : parts) down.push_back({.name = part.name + ".0", .out_features = rank});
  return down;
}

}  // namespace

LowRankAdapter::LowRankAdapter(std::vector<Part> parts, std::int64_t in_features, std::int64_t rank,
                               const ParallelContext& parallel)
    : parts_(std::move(parts)), rank_(rank), down_(down_parts(parts_, rank), in_features, parallel, {}) {
  for (const Part& part : parts_) {
    up_.emplace_back(std::vector<LinearPart>{{.name = part.name + ".1", .out_features = part.out_features}}, rank,
                     parallel, Linear::Options{});
  }
}

void LowRankAdapter::load(WeightLoader& loader) {
  down_.load(loader);
  for (Linear& up : up_) up.load(loader);
}

void LowRankAdapter::add(ForwardContext& context, const TensorView& x, const TensorView& y) const {
  const Workspace::Scope scope(context.workspace);
  const TensorView inner = context.workspace.matrix(x.rows(), down_.out_features());
  down_.forward(context.ops, x, inner);
  std::int64_t column = 0;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const TensorView into = y.slice_columns(column, parts_[p].out_features);
    up_[p].forward(context.ops, inner.slice_columns(static_cast<std::int64_t>(p) * rank_, rank_), into,
                   {.accumulate = true});
    column += parts_[p].out_features;
  }
}

}  // namespace krait
