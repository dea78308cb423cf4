#include "models/layers/mamba2_mixer.h"

#include <algorithm>
#include <vector>

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

bool has_multipliers(const Mamba2Config& config) {
  return config.input_multiplier != 1.0F ||
         std::any_of(config.segment_multipliers.begin(), config.segment_multipliers.end(),
                     [](float multiplier) { return multiplier != 1.0F; });
}

}  // namespace

Mamba2Mixer::Mamba2Mixer(std::string name, const Mamba2Config& config, const LayerContext& context)
    : Mamba2Base(std::move(name), config, ConvInput::kXBC, context),
      config_(config),
      scaled_(has_multipliers(config)),
      in_proj_({{this->name() + ".in_proj", inner_size() + conv_channels() + heads()}}, config.hidden_size,
               context.parallel, {.bias = config.in_proj_bias && !scaled_}),
      out_proj_({{this->name() + ".out_proj", config.hidden_size}}, inner_size(), context.parallel,
                {.bias = config.out_proj_bias}) {}

void Mamba2Mixer::load(WeightLoader& loader) {
  in_proj_.load(loader);
  out_proj_.load(loader);
  load_recurrence(loader);
  if (config_.gated_norm) norm_ = loader.float32(name() + ".norm.weight", {inner_size()});
  if (scaled_) load_multipliers(loader);
}

void Mamba2Mixer::load_multipliers(WeightLoader& loader) {
  const std::array<std::int64_t, 5> widths{inner_size(), inner_size(), group_columns(), group_columns(), heads()};
  std::vector<float> columns;
  for (std::size_t part = 0; part < widths.size(); ++part) {
    columns.insert(columns.end(), static_cast<std::size_t>(widths[part]), config_.segment_multipliers[part]);
  }
  multipliers_ = loader.vector(columns);
  if (config_.in_proj_bias) in_proj_bias_ = loader.float32(name() + ".in_proj.bias", {in_proj_.out_features()});
}

TensorView Mamba2Mixer::project(ForwardContext& context, const TensorView& x) const {
  const TensorView projected = context.workspace.matrix(x.rows(), in_proj_.out_features());
  // W (m x) is m (W x).
  in_proj_.forward(context.ops, x, projected, {.scale = config_.input_multiplier});
  if (scaled_) {
    context.ops.scaled_add(
        {.first = {.x = projected, .weight = multipliers_.view(), .bias = in_proj_bias_.view()}, .out = projected});
  }
  return projected;
}

void Mamba2Mixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const TensorView projected = project(context, x);
  const TensorView xbc = convolve(context, projected.slice_columns(inner_size(), conv_channels()));
  const TensorView y = context.workspace.matrix(x.rows(), inner_size());
  scan(context, {.x = xbc.slice_columns(0, inner_size()),
                 .b = xbc.slice_columns(inner_size(), group_columns()),
                 .c = xbc.slice_columns(inner_size() + group_columns(), group_columns()),
                 .dt = projected.slice_columns(inner_size() + conv_channels(), heads()),
                 .y = y});
  context.ops.gated_rms_norm({.y = y,
                              .z = projected.slice_columns(0, inner_size()),
                              .weight = norm_.view(),
                              .groups = groups(),
                              .eps = config_.norm_eps,
                              .order = config_.gate_order,
                              .out = y});
  out_proj_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
