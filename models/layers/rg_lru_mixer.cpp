#include "models/layers/rg_lru_mixer.h"

#include <algorithm>
#include <cmath>

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// The constant c of the paper's equation 4, which no config states.
constexpr double kDecayScale = 8.0;

/// -c softplus(x), in double and without overflow.
float decay_coefficient(float recurrent_param) {
  const auto x = static_cast<double>(recurrent_param);
  const double softplus = std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
  return static_cast<float>(-kDecayScale * softplus);
}

}  // namespace

RgLruMixer::RgLruMixer(std::string name, const RgLruConfig& config, const LayerContext& context)
    : MambaBase(std::move(name), context),
      config_(config),
      linear_x_({{this->name() + ".linear_x", config.channels}}, config.hidden_size, context.parallel, {.bias = true}),
      linear_y_({{this->name() + ".linear_y", config.channels}}, config.hidden_size, context.parallel, {.bias = true}),
      linear_out_({{this->name() + ".linear_out", config.hidden_size}}, config.channels, context.parallel,
                  {.bias = true}) {
  if (config.channels % config.heads != 0) {
    throw StartupError("layer '" + this->name() + "': " + std::to_string(config.heads) +
                       " heads do not divide the width of the RG-LRU (" + std::to_string(config.channels) + ")");
  }
  if (context.parallel.size > 1) {
    throw StartupError("layer '" + this->name() + "': a recurrent block cannot be split over ranks in this version");
  }
}

std::vector<StateTensorSpec> RgLruMixer::state_tensors() const {
  return {{.role = StateTensorSpec::Role::kConv,
           .shape = {config_.conv_kernel - 1, config_.channels},
           .dtype = context().conv_dtype()},
          {.role = StateTensorSpec::Role::kRecurrent, .shape = {config_.channels}, .dtype = context().ssm_dtype()}};
}

void RgLruMixer::bind_backend(std::size_t spec, const LayerBackend* backend) {
  require_backend<RgLruBackend>(backend, mamba_type_name(), "RgLruBackend");
  MambaBase::bind_backend(spec, backend);
}

// Stored as [heads, inputs, outputs]: a row vector times the matrix.
RgLruMixer::BlockDiagonal RgLruMixer::load_gate(WeightLoader& loader, const std::string& gate) const {
  const std::int64_t width = config_.channels / config_.heads;
  const std::string prefix = name() + ".rg_lru." + gate;
  BlockDiagonal blocks;
  for (int head = 0; head < config_.heads; ++head) {
    blocks.push_back(loader.linear({{.weight = prefix + "_weight",
                                     .bias = prefix + "_bias",
                                     .out_features = width,
                                     .stack_count = config_.heads,
                                     .stack_index = head,
                                     .transposed = true}},
                                   width));
  }
  return blocks;
}

void RgLruMixer::load(WeightLoader& loader) {
  linear_x_.load(loader);
  linear_y_.load(loader);
  linear_out_.load(loader);
  input_gate_ = load_gate(loader, "input_gate");
  recurrent_gate_ = load_gate(loader, "recurrent_gate");
  conv_weight_ = loader.conv_weight(name() + ".conv_1d.weight", config_.channels, config_.conv_kernel);
  conv_bias_ = loader.float32(name() + ".conv_1d.bias", {config_.channels});
  a_coefficient_ = loader.transformed(name() + ".rg_lru.recurrent_param", {config_.channels}, decay_coefficient);
  parameters_ = {
      .conv_weight = conv_weight_.view(), .conv_bias = conv_bias_.view(), .a_coefficient = a_coefficient_.view()};
}

TensorView RgLruMixer::project_gate(ForwardContext& context, const BlockDiagonal& gate, const TensorView& x) const {
  const std::int64_t width = config_.channels / config_.heads;
  const TensorView out = context.workspace.matrix(x.rows(), config_.channels);
  for (int head = 0; head < config_.heads; ++head) {
    context.ops.linear({.weight = &gate[static_cast<std::size_t>(head)],
                        .x = x.slice_columns(head * width, width),
                        .y = out.slice_columns(head * width, width)});
  }
  return out;
}

void RgLruMixer::forward(ForwardContext& context, const TensorView& x, const LayerOutput& output) {
  const Workspace::Scope scope(context.workspace);
  const auto& metadata = this->metadata<MambaMetadata>(context);
  const auto& backend = bound_backend<RgLruBackend>();
  const auto& state = std::get<StateCacheView>(cache());
  const auto matrix = [&] { return context.workspace.matrix(x.rows(), config_.channels); };
  const TensorView branch = matrix();
  linear_y_.forward(context.ops, x, branch, {.activation = config_.activation});
  const TensorView inner = matrix();
  linear_x_.forward(context.ops, x, inner);
  const TensorView convolved = matrix();
  backend.convolve(context.backend(), metadata, parameters_, state, inner, convolved);
  const TensorView input_gate = project_gate(context, input_gate_, convolved);
  const TensorView recurrent_gate = project_gate(context, recurrent_gate_, convolved);
  const TensorView y = matrix();
  backend.recur(context.backend(), metadata, parameters_, state,
                {.x = convolved, .input_gate = input_gate, .recurrent_gate = recurrent_gate, .y = y});
  context.ops.gate({.x = y, .gate = branch, .activation = Activation::kNone, .out = y});
  linear_out_.forward(context.ops, y, output.into, {.scale = output.scale, .accumulate = output.accumulate});
}

}  // namespace krait
