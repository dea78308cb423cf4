#include "models/layers/mamba1_input_projection.h"

#include <numeric>

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

std::optional<RmsNorm> make_norm(const std::string& name, int size, const Mamba1Config& config) {
  if (config.norm == Mamba1Norm::kNone) return std::nullopt;
  const bool weighted = config.norm == Mamba1Norm::kWeighted;
  return RmsNorm(name, size, config.norm_eps, weighted ? RmsNorm::Weight::kPlain : RmsNorm::Weight::kNone);
}

/// Matrix `head` of `name`, which is a stack where the heads are.
MatrixSource head_matrix(const std::string& name, const Mamba1Config& config, int head) {
  MatrixSource source{.weight = name + (config.stacked_heads ? "_weight" : ".weight")};
  if (config.stacked_heads) {
    source.stack_count = config.heads;
    source.stack_index = head;
  }
  return source;
}

}  // namespace

Mamba1InputProjection::Mamba1InputProjection(std::string name, const Mamba1Config& config)
    : name_(std::move(name)),
      config_(config),
      dt_norm_(make_norm(name_ + ".dt_layernorm", config.dt_rank, config)),
      b_norm_(make_norm(name_ + ".b_layernorm", config.state_size, config)),
      c_norm_(make_norm(name_ + ".c_layernorm", config.state_size, config)) {}

// One head's outputs lie as they are stored: a single product. Those of several heads go to three places each.
void Mamba1InputProjection::load_head(WeightLoader& loader, int head) {
  const std::int64_t rank = config_.dt_rank;
  const std::int64_t state = config_.state_size;
  const std::int64_t channels = config_.channels / config_.heads;
  const MatrixSource matrix = head_matrix(name_ + ".x_proj", config_, head);
  const auto add = [&](MatrixSource source, std::int64_t outputs, std::int64_t first_output) {
    source.out_features = outputs;
    x_proj_.push_back({.weight = loader.linear({source}, channels),
                       .first_input = head * channels,
                       .inputs = channels,
                       .first_output = first_output,
                       .outputs = outputs});
  };
  if (config_.heads == 1) {
    add(matrix, rank + 2 * state, 0);
  } else {
    const auto add_rows = [&](std::int64_t first_row, std::int64_t rows, std::int64_t first_output) {
      MatrixSource part = matrix;
      part.rows.resize(static_cast<std::size_t>(rows));
      std::iota(part.rows.begin(), part.rows.end(), static_cast<std::int32_t>(first_row));
      part.stored_rows = rank + 2 * state;
      add(part, rows, first_output);
    };
    const std::int64_t heads = config_.heads;
    add_rows(0, rank, head * rank);
    add_rows(rank, state, heads * rank + head * state);
    add_rows(rank + state, state, heads * (rank + state) + head * state);
  }
  MatrixSource dt = head_matrix(name_ + ".dt_proj", config_, head);
  dt.out_features = channels;
  dt_proj_.push_back(loader.linear({dt}, rank));
}

void Mamba1InputProjection::load(WeightLoader& loader) {
  for (int head = 0; head < config_.heads; ++head) load_head(loader, head);
  if (dt_norm_) dt_norm_->load(loader);
  if (b_norm_) b_norm_->load(loader);
  if (c_norm_) c_norm_->load(loader);
}

void Mamba1InputProjection::normalise(ForwardContext& context, const TensorView& values,
                                      const std::optional<RmsNorm>& norm) const {
  if (!norm) return;
  const std::int64_t size = values.columns() / config_.heads;
  for (int head = 0; head < config_.heads; ++head) {
    const TensorView of_head = values.slice_columns(head * size, size);
    norm->forward(context.ops, of_head, of_head);
  }
}

Mamba1InputProjection::Result Mamba1InputProjection::forward(ForwardContext& context, const TensorView& x) const {
  const std::int64_t rank_columns = std::int64_t{config_.heads} * config_.dt_rank;
  const std::int64_t state_columns = std::int64_t{config_.heads} * config_.state_size;
  const TensorView projected = context.workspace.matrix(x.rows(), rank_columns + 2 * state_columns);
  for (const Piece& piece : x_proj_) {
    context.ops.linear({.weight = &piece.weight,
                        .x = x.slice_columns(piece.first_input, piece.inputs),
                        .y = projected.slice_columns(piece.first_output, piece.outputs)});
  }
  const TensorView dt_inputs = projected.slice_columns(0, rank_columns);
  const Result result{.dt = context.workspace.matrix(x.rows(), config_.channels),
                      .b = projected.slice_columns(rank_columns, state_columns),
                      .c = projected.slice_columns(rank_columns + state_columns, state_columns)};
  normalise(context, dt_inputs, dt_norm_);
  normalise(context, result.b, b_norm_);
  normalise(context, result.c, c_norm_);
  const std::int64_t channels = config_.channels / config_.heads;
  for (int head = 0; head < config_.heads; ++head) {
    context.ops.linear({.weight = &dt_proj_[static_cast<std::size_t>(head)],
                        .x = dt_inputs.slice_columns(std::int64_t{head} * config_.dt_rank, config_.dt_rank),
                        .y = result.dt.slice_columns(head * channels, channels)});
  }
  return result;
}

}  // namespace krait
