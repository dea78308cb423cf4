#include "models/layers/plamo2_mixer.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// The rows of z (`half` 0) or x (`half` 1) in a projection that holds [z | x] head by head.
std::vector<std::int32_t> rows_of_half(const Mamba2Dimensions& dimensions, int half) {
  std::vector<std::int32_t> rows;
  for (int head = 0; head < dimensions.heads; ++head) {
    for (int i = 0; i < dimensions.head_dim; ++i) rows.push_back((2 * head + half) * dimensions.head_dim + i);
  }
  return rows;
}

std::vector<LinearPart> in_proj_parts(const std::string& name, const Mamba2Dimensions& dimensions) {
  const std::int64_t inner = std::int64_t{dimensions.heads} * dimensions.head_dim;
  std::vector<LinearPart> parts;
  for (const int half : {0, 1}) {
    parts.push_back(
        {.name = name, .out_features = inner, .rows = rows_of_half(dimensions, half), .stored_rows = 2 * inner});
  }
  return parts;
}

}  // namespace

Plamo2Mixer::Plamo2Mixer(std::string name, const Plamo2MixerConfig& config, const LayerContext& context)
    : Mamba2Base(std::move(name), config, ConvInput::kX, context),
      in_proj_(in_proj_parts(this->name() + ".in_proj", config), config.hidden_size, context.parallel, {}),
      bcdt_proj_({{this->name() + ".bcdt_proj", 2 * group_columns() + config.dt_rank}}, inner_size(), context.parallel,
                 {}),
      dt_proj_({{this->name() + ".dt_proj", heads()}}, config.dt_rank, context.parallel, {}),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, inner_size(), context.parallel, {}),
      b_norm_(RmsNorm::of_tensor(this->name() + ".B_norm_weight", group_columns(), config.norm_eps)),
      c_norm_(RmsNorm::of_tensor(this->name() + ".C_norm_weight", group_columns(), config.norm_eps)),
      dt_norm_(RmsNorm::of_tensor(this->name() + ".dt_norm_weight", config.dt_rank, config.norm_eps)) {}

void Plamo2Mixer::load(WeightLoader& loader) {
  in_proj_.load(loader);
  bcdt_proj_.load(loader);
  dt_proj_.load(loader);
  out_proj_.load(loader);
  b_norm_.load(loader);
  c_norm_.load(loader);
  dt_norm_.load(loader);
  load_recurrence(loader);
}

void Plamo2Mixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView zx = context.workspace.matrix(x.rows(), in_proj_.out_features());
  in_proj_.forward(context.ops, x, zx);
  const TensorView convolved = convolve(context, zx.slice_columns(inner_size(), inner_size()));
  const TensorView bcdt = context.workspace.matrix(x.rows(), bcdt_proj_.out_features());
  bcdt_proj_.forward(context.ops, convolved, bcdt);
  const TensorView b = bcdt.slice_columns(0, group_columns());
  const TensorView c = bcdt.slice_columns(group_columns(), group_columns());
  const TensorView low_rank = bcdt.slice_columns(2 * group_columns(), bcdt.columns() - 2 * group_columns());
  b_norm_.forward(context.ops, b, b);
  c_norm_.forward(context.ops, c, c);
  dt_norm_.forward(context.ops, low_rank, low_rank);
  const TensorView dt = context.workspace.matrix(x.rows(), heads());
  dt_proj_.forward(context.ops, low_rank, dt);
  const TensorView y = context.workspace.matrix(x.rows(), inner_size());
  scan(context, {.x = convolved, .b = b, .c = c, .dt = dt, .y = y});
  context.ops.gate({.x = y, .gate = zx.slice_columns(0, inner_size()), .activation = Activation::kSilu, .out = y});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
